"""Training, decoding and evaluation of dialogue models; see README.md for the commands."""

__version__ = "0.1.0"
