"""Read the text of books: one module for each kind of file."""
