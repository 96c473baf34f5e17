"""Order, batches and resumption: loaders that know of ranks and of checkpoints."""
