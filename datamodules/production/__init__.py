"""Sounds and pairs of sounds that production tools learn from."""
