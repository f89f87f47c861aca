"""Mollitune finds the best data-mollification schedule for a likelihood-based generative model."""

__version__ = "0.1.0"
