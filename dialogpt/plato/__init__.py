"""PLATO (arXiv:1910.07931): a unified transformer with a discrete latent speech act."""
