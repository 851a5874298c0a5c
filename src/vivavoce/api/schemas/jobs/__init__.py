"""Validate what is sent about jobs, and describe them."""
