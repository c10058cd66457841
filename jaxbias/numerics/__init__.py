"""Pure functions of arrays: no networks, no files, no state."""
