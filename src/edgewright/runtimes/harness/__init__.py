"""What runs on the device: one self-contained file for each runtime."""
