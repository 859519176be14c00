"""Preset `reference`: the lines of train.tsv as DialoGPT's public code makes them, byte for byte.

What the preset reproduces, and what it does not, is in docs/reference-preset.md.
"""
