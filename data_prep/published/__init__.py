"""The published multi-reference test sets: Reddit 6k of DialoGPT, and that of DSTC-7, track 2.

What is read and written, and what cannot be had any more, is in docs/published-test-sets.md.
"""
