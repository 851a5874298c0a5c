"""Prepare text for speech: detect its language, make it speakable, split it into segments.

Knows no model, voice or request.
"""
