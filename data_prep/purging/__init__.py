"""Taking comments that their authors have deleted out of what was made of them."""
