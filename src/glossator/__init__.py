"""Automated interpretability: explain the units of neural networks, and test the explanations."""

__version__ = "0.1.0"
