"""World Action Models in JAX/Flax: the journey from episodes to a robustness report."""

__version__ = "0.1.0"
