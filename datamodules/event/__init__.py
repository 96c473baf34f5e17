"""Data sets of audio events, and what of their lists is there."""
