"""What a frozen network knows already: classifiers and distances of its embeddings."""
