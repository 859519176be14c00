"""Automatic evaluation: hypotheses and references -> numbers with their uncertainty."""
