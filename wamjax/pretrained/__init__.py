"""Foreign weights: readers, name tables and parity (issue Weights)."""
