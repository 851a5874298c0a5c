"""Write a narrated book as an EPUB 3 whose text is highlighted while it is read aloud."""

from vivavoce.books.write.epub.container import write_epub

__all__ = ["write_epub"]
