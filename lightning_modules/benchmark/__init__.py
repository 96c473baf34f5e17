"""Ratios of what takes turns on this machine: ``python -m lightning_modules.benchmark``."""
