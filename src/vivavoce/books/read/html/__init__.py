"""HTML: its elements as blocks, and its footnotes."""
