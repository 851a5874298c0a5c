"""Speak through other machines: vivavoce servers, or a Ray cluster."""
