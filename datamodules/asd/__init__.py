"""Machine sounds: DCASE Task 2, and proxy outliers among them."""
