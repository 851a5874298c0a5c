"""Serve speech by the Wyoming protocol, the one of Home Assistant. Knows no HTTP."""
