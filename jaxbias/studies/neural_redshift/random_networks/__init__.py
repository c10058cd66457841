"""The random-networks experiment: thousands of random networks, measured on a grid."""
