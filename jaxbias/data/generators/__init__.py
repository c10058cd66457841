"""Images that are made from nothing: untrained networks, leaves, fractals, programs, noise.

Each module has a configuration and three pure functions. `code` draws a program, which
stands for a class of images; `draw` one image of it; `parameters` tells programs apart.
"""
