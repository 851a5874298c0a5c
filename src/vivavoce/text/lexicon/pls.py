"""Read and write W3C's Pronunciation Lexicon Specification (PLS) 1.0.

- Each grapheme of a lexeme becomes a rule: with its preferred or first phoneme, and its alias.
- The language of the file is that of its rules.
"""

from collections.abc import Iterable, Mapping
from typing import Final
from xml.sax.saxutils import escape, quoteattr

from vivavoce.errors import BadRequest
from vivavoce.text.language.names import parse_language
from vivavoce.text.lexicon.rules import checked
from vivavoce.text.markup.alphabets import to_ipa
from vivavoce.text.markup.xml import XmlReader
from vivavoce.text.tracked import Tracked
from vivavoce.types import Pronunciation

NAMESPACE: Final = "http://www.w3.org/2005/01/pronunciation-lexicon"
_TEXTS: Final = frozenset({"grapheme", "phoneme", "alias"})


def from_pls(text: str, *, case: bool = False) -> tuple[Pronunciation, ...]:
    """Return the rules of a PLS document. With `case`, they match only as they are written.

    Raises `BadRequest` (field `file`) with the line and the column of what is wrong.
    """
    xml = XmlReader(text, field="file", kind="PLS")
    reader = _PlsReader(xml, case=case)
    xml.read(reader)
    return checked(reader.rules, field="file")


def to_pls(rules: Iterable[Pronunciation], language: str) -> str:
    """Return the PLS document of the rules that hold for `language` (ISO 639-1) in any voice."""
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<lexicon version="1.0" xmlns="{NAMESPACE}" alphabet="ipa" '
        f"xml:lang={quoteattr(language)}>",
    ]
    for rule in rules:
        if rule.voice is None and rule.language in (None, language):
            said = {"grapheme": rule.word, "phoneme": rule.ipa, "alias": rule.alias}
            inner = [f"    <{name}>{escape(text)}</{name}>" for name, text in said.items() if text]
            lines += ["  <lexeme>", *inner, "  </lexeme>"]
    return "\n".join([*lines, "</lexicon>", ""])


class _PlsReader:
    def __init__(self, xml: XmlReader, *, case: bool) -> None:
        self.rules: list[Pronunciation] = []
        self._xml = xml
        self._case = case
        self._path: list[str] = []
        self._language: str | None = None
        self._alphabet = self._default_alphabet = "ipa"
        self._preferred = False
        self._text = ""
        self._words: list[str] = []
        self._phonemes: list[str] = []
        self._aliases: list[str] = []

    def start(self, name: str, attributes: Mapping[str, str], at: int) -> None:
        name = name.rpartition(":")[2]
        if not self._path:
            if name != "lexicon":
                self._xml.fail(at, f"it begins with {name[:40]!r}: the outermost is 'lexicon'")
            self._default_alphabet = attributes.get("alphabet", "ipa")
            self._language = self._language_of(attributes.get("xml:lang", ""), at)
        self._path.append(name)
        if name == "lexeme":
            self._words, self._phonemes, self._aliases = [], [], []
        self._text = ""
        if name == "phoneme":
            self._alphabet = attributes.get("alphabet", self._default_alphabet)
        if name in _TEXTS:
            self._preferred = attributes.get("prefer", "").strip() == "true"

    def end(self, name: str, at: int) -> None:
        name = self._path.pop()
        said = " ".join(self._text.split())
        if name == "grapheme":
            self._words.append(said)
        elif name == "alias":
            self._aliases.insert(0 if self._preferred else len(self._aliases), said)
        elif name == "phoneme":
            sounds = to_ipa(said, self._alphabet)
            if sounds is None:
                self._xml.fail(at, f"alphabet {self._alphabet[:40]!r}: take 'ipa' or 'x-sampa'")
            self._phonemes.insert(0 if self._preferred else len(self._phonemes), sounds.ipa)
        elif name == "lexeme":
            self._add(at)

    def text(self, text: Tracked) -> None:
        if self._path[-1] in _TEXTS:
            self._text += text.text

    def _add(self, at: int) -> None:
        ipa = next(iter(self._phonemes), None)
        alias = next(iter(self._aliases), None)
        if not self._words or not (ipa or alias):
            self._xml.fail(at, "a lexeme needs a grapheme, and a phoneme or an alias")
        self.rules += [
            Pronunciation(word, alias, ipa, self._language, self._case) for word in self._words
        ]

    def _language_of(self, tag: str, at: int) -> str | None:
        try:
            return parse_language(tag) if tag else None
        except BadRequest as error:
            self._xml.fail(at, f"xml:lang: {error.message}")
