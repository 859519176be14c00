"""A trained model -> a folder for people who have plain transformers and nothing of ours."""
