"""Maximising mutual information by policy gradient: draw, score, learn; docs/mmi-rl.md."""
