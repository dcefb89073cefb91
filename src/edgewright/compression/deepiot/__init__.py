"""DeepIoT: a compressor and the network itself, as its critic, find which units to keep; steered as in FastDeepIoT."""
