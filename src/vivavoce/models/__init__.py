"""Define what speaks: a model each, which knows the seams of `serving.base` and no server."""
