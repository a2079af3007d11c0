"""Episodes to windows, mixtures of them, and batches in an order that anyone can recompute."""
