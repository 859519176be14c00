"""Training: optimizer, schedule, one step, the loop, and the command."""
