"""Serve many requests with few models: queue, step, restart, load, unload. It knows no HTTP."""
