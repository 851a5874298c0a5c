"""PDF: its lines, from a process of its own, as paragraphs and chapters."""
