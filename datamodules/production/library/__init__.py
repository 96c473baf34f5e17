"""Samples of a library, to learn to make."""
