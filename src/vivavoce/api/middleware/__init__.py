"""Wrap every endpoint in the layers that limit, check and log its requests."""
