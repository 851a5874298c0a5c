"""Serve the endpoints, one module for each API."""
