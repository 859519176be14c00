"""Language models and losses: tensors in, tensors out."""
