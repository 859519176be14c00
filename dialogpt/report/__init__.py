"""What training runs have left, drawn: a page, or one picture."""
