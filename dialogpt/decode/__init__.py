"""Decoding: generation, reranking, and the command."""
