"""Read Japanese and Chinese: digits, symbols and letters in characters."""

from vivavoce.text.numbers.cjk.reader import read_chinese, read_japanese

__all__ = ["read_chinese", "read_japanese"]
