"""One run on disk: its folder, checkpoints, results and where they come from."""
