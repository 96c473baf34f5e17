"""Decodes a data set once, for loaders that only copy samples: ``python -m datamodules.pack``."""
