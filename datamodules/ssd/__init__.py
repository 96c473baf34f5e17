"""Genuine and spoofed speech: the ASVspoof challenges."""
