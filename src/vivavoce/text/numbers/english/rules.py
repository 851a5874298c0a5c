"""Share what the rules of English are made of: their type, number patterns, and the text around.

Patterns take linear time: what repeats is possessive or bounded.
"""

import re
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from vivavoce.text.tables import table
from vivavoce.text.tracked import Tracked


class Rule(NamedTuple):
    """A pattern, and the words for what it finds. A text is read by rules, one after the other."""

    pattern: re.Pattern[str]
    read: Callable[[re.Match[str]], str]
    signs: str = ""  # a text without any of them has nothing for the rule


def apply(rules: tuple[Rule, ...], text: Tracked) -> Tracked:
    """Return `text` with each of the rules applied to the whole."""
    characters = set(text.text)
    for pattern, read, signs in rules:
        if not signs or not characters.isdisjoint(signs):
            text = text.sub(pattern, _apart(read))
    return text


def _apart(read: Callable[[re.Match[str]], str]) -> Callable[[re.Match[str]], str]:
    """Return `read` with a space where its words would touch letters or digits."""

    def words(match: re.Match[str]) -> str:
        spoken, text = read(match), match.string
        if not spoken or spoken == match[0]:
            return spoken
        left = spoken[0].isalnum() and text[match.start() - 1 : match.start()].isalnum()
        right = spoken[-1].isalnum() and text[match.end() : match.end() + 1].isalnum()
        return f"{' ' if left else ''}{spoken}{' ' if right else ''}"

    return words


TABLE: Final = table("en")
NUMBER: Final = r"(?:\d++(?:,\d{3})*+(?:\.\d++)?+|\.\d++)"
START: Final = r"(?<![\w.,])"  # of a number: "v2", "1.2" and "1,2" have none inside
TO: Final = r"(?: ?[–—-] ?| to )"  # between the ends of a range
DIGITS: Final = "0123456789"  # signs of a rule

_NEXT = re.compile(r"[\"'”’)\]]{0,3}\s{1,4}[\"'“‘(\[]{0,3}([A-Za-z][\w'’]{0,20})?")
_LAST = re.compile(r"[\"'”’)\]]{0,3}\s{0,4}(?:\n|\Z)")
_STARTERS = frozenset(TABLE["starters"]["words"].split())


def one_of(words: Iterable[str]) -> str:
    """Return a pattern for any of `words`, the longest first."""
    return f"(?:{'|'.join(map(re.escape, sorted(words, key=len, reverse=True)))})"


def words_of(section: str, key: str = "words") -> frozenset[str]:
    """Return the words of a list in the table."""
    return frozenset(TABLE[section][key].split())


def before(match: re.Match[str]) -> str:
    """Return the word before the match, "" if other signs than spaces lie between."""
    text, at = match.string, match.start()
    head = text[max(0, at - 24) : at]
    if not head.endswith(" "):
        return ""
    word = head.rstrip(" ").rpartition(" ")[2]
    return word.lstrip("(\"'“‘[") if word[-1:].isalpha() or word[-1:].isdigit() else ""


def after(match: re.Match[str]) -> str:
    """Return the word after the match and one space or hyphen, or ""."""
    found = _AFTER.match(match.string, match.end())
    return found[1] if found else ""


_AFTER = re.compile(r"[ -]([A-Za-z][\w'’]{0,30})")


def ends_sentence(text: str, at: int) -> bool:
    """True if a sentence that may go on after `at` is over there, as in "at 9 a.m. We left"."""
    if _LAST.match(text, at):
        return True
    found = _NEXT.match(text, at)
    return bool(found and found[1] and found[1] in _STARTERS)


def stop(match: re.Match[str]) -> str:
    """Return the full stop that an abbreviation leaves behind, if it ends the sentence."""
    return "." if ends_sentence(match.string, match.end()) else ""


def spelled(letters: str) -> str:
    """Return letters one by one: "B B C"."""
    return " ".join(letter for letter in letters.upper() if letter.isalpha())
