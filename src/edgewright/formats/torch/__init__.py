"""PyTorch modules: read through torch.export into a Graph, width edits applied to the live module."""
