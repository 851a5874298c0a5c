"""Step a checkpoint as a `Model`: batches of streams, device memory, stop rules."""
