"""EPUB: its package, and its pages as chapters."""
