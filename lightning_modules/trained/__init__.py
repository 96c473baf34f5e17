"""Trained models in Python: of a checkpoint, a package or published weights, scoring as a test does."""
