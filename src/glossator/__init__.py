"""Automated interpretability: explain the units of neural networks, and prove the explanations."""

__version__ = "0.1.0"
