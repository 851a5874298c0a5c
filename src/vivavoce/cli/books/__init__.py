"""Define the commands that narrate books, and show and steer the jobs of that."""

from vivavoce.cli.books.book import book
from vivavoce.cli.books.jobs import jobs

__all__ = ["book", "jobs"]
