"""Tell other devices where this server is, and let them trust it."""
