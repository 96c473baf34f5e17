"""What is drawn: of scores, classes, embeddings, sounds and the course of training."""
