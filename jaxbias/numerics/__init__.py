"""Measures and statistics as pure functions of arrays: no networks, no files, no state."""
