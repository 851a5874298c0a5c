"""Speak texts while they are written, and tell what of them was heard. Knows no wire format."""
