"""Write narrated books: one module for each kind of file."""
