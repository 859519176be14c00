"""Frozen dataclasses: one a command, and the sections it nests.

The docstring under a field is its help on the command line; `configs/` says for each value whether
it comes from the paper, the reference code or this project. A wrong value is a ValueError here,
before anything heavy is loaded.
"""
