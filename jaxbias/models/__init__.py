"""Networks as Flax modules, and the distributions that their weights are drawn from.

Image models return logits and their named layers, so that a probe reads any layer;
`catalogue` builds them by name, and `torch_weights` fills them with PyTorch's.
"""
