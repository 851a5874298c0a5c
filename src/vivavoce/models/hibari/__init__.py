"""Speak English with hibari: its model, its network, and the sound of what the network tells."""

from vivavoce.models.hibari.model import VOICE, HibariModel

__all__ = ["VOICE", "HibariModel"]
