"""Inference packages: a trained model in a folder that scores sound without Lightning, W&B or a data set."""
