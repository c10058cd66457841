"""The init-vs-trained experiment: does complexity at random weights survive training?"""
