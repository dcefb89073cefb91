"""Compress: a narrower network, retrained, steered by the execution-time model."""
