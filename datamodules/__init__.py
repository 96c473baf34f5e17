"""What comes in: data sets on disk become batches of waveforms."""
