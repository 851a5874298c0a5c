"""Let programs that others wrote use the server. `make test-clients` runs it, and nothing else."""
