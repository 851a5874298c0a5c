"""Serve what clients of ElevenLabs do with voices of their own: clone, design, change, remove."""
