"""Examples of a mapping from inputs to controls."""
