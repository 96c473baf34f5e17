"""Machines heard by several microphones in a simulated room."""
