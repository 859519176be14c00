"""Conversations of other sources than Reddit, as the same dialogue files."""
