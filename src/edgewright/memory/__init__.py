"""Peak memory: lifetimes, places in an arena, the allocators of runtimes, and an independent verifier."""
