"""Measure a whole recording: its loudness and its pitch."""
