"""Align: wider layers where wider is faster, outputs unchanged."""
