"""Keep voices of one's own: mixes of a model's voices, and recordings to clone."""
