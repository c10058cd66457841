"""The boolean-prior experiment: which Boolean functions random networks compute."""
