"""Short runs over a grid of learning rates."""
