"""What of a test set also stands in the training dialogues."""
