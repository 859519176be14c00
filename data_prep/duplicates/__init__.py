"""Dialogues that say what another one says: found by MinHash, verified, and all but one dropped."""
