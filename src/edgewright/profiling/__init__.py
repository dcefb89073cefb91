"""Measuring a device: which layers, in which order, how often, and how far the measurements can be trusted."""
