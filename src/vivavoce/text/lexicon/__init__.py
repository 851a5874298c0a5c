"""Say words as a lexicon says, by an alias or by sounds in IPA."""

from vivavoce.text.lexicon.file import FILE_NAME, LexiconFile, LiveLexicon
from vivavoce.text.lexicon.matching import Lexicon, apply
from vivavoce.text.lexicon.rules import MAX_REQUEST_RULES, MAX_RULES, checked

__all__ = [
    "FILE_NAME",
    "MAX_REQUEST_RULES",
    "MAX_RULES",
    "Lexicon",
    "LexiconFile",
    "LiveLexicon",
    "apply",
    "checked",
]
