"""Zero-mean activations: does E phi(z) = 0 make random networks complex?"""
