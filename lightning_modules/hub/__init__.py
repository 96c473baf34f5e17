"""Weights on the hub of Hugging Face."""
