"""Fused tiling: plans as data, their lowering to edit scripts, and the search for the best one."""
