"""Read a book from a file: EPUB, HTML, Markdown, plain text, PDF or DOCX."""

from vivavoce.books.read.files import read_book

__all__ = ["read_book"]
