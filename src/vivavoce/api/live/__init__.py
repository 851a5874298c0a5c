"""Serve live speech over WebSockets: one module for each protocol that clients speak."""
