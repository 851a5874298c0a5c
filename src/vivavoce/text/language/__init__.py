"""Languages: their names and scripts, and how to detect them."""
