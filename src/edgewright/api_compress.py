"""What `edgewright compress` calls."""
