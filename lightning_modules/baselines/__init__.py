"""What a method must beat: statistics of mel bands, with classifiers and distances that anyone would try first."""
