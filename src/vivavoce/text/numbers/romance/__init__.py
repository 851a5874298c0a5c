"""Read Spanish, French, Italian and Portuguese: digits, symbols and short forms in words."""

from vivavoce.text.numbers.romance.letters import name_letters
from vivavoce.text.numbers.romance.reader import read_romance

__all__ = ["name_letters", "read_romance"]
