"""edgewright: make a neural network run fast, and fit, on the device where it has to run."""
