"""Read XML by expat, within limits and without DTDs, for SSML and PLS.

- Entities are the five of XML and numeric ones. Nothing is fetched or expanded.
- Every error is a `BadRequest` of the given field, with the line and the column.
- Each character keeps its place in the source, in code points.
"""

import re
from collections.abc import Mapping
from typing import Final, NoReturn, Protocol
from xml.parsers import expat

from vivavoce.errors import BadRequest
from vivavoce.text.tracked import Tracked

MAX_CHARS: Final = 2_000_000
MAX_DEPTH: Final = 32
MAX_ELEMENTS: Final = 50_000

_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")
_DECLARATION = re.compile(r"\A\s*+<\?xml(?=[\s?])[^<>]*+>")


class Handler(Protocol):
    """The receiver of a document's content."""

    def start(self, name: str, attributes: Mapping[str, str], at: int) -> None: ...

    def end(self, name: str, at: int) -> None: ...

    def text(self, text: Tracked) -> None: ...


class XmlReader:
    """One document being read. `fail` raises the error of a place in it."""

    def __init__(self, text: str, *, field: str, kind: str) -> None:
        self._field, self._kind = field, kind
        self._source = text
        # What XML forbids is no text either. A declaration, which must be the very first, names an
        # encoding that a string does not have.
        text = _CONTROL.sub(" ", text.replace("\ufeff", " "))
        self._text = _DECLARATION.sub(lambda match: " " * len(match[0]), text, count=1)
        self._data = self._text.encode()
        self._byte = self._char = 0  # a place in bytes, and the same in code points
        self._depth = self._elements = 0
        self._in_cdata = False

    def read(self, handler: Handler) -> None:
        """Send the content to `handler`. Raise `BadRequest` for anything but well-formed XML."""
        if len(self._source) > MAX_CHARS:
            self.fail(0, f"it has more than {MAX_CHARS:,} characters: send it in parts")
        parser = expat.ParserCreate()
        parser.buffer_text = False  # or the places of characters would be lost
        parser.ordered_attributes = False

        def start(name: str, attributes: dict[str, str]) -> None:
            at = self._place(parser.CurrentByteIndex)
            self._depth += 1
            self._elements += 1
            if self._depth > MAX_DEPTH:
                self.fail(at, f"elements are nested deeper than {MAX_DEPTH} levels")
            if self._elements > MAX_ELEMENTS:
                self.fail(at, f"it has more than {MAX_ELEMENTS:,} elements: send it in parts")
            handler.start(name, attributes, at)

        def end(name: str) -> None:
            self._depth -= 1
            handler.end(name, self._place(parser.CurrentByteIndex))

        def characters(data: str) -> None:
            handler.text(self._tracked(data, self._place(parser.CurrentByteIndex)))

        def cdata(inside: bool) -> None:
            self._in_cdata = inside

        def doctype(*_: object) -> None:
            self.fail(
                self._place(parser.CurrentByteIndex),
                "a DOCTYPE is not allowed: remove it, and write its entities as characters",
            )

        parser.StartElementHandler = start
        parser.EndElementHandler = end
        parser.CharacterDataHandler = characters
        parser.StartCdataSectionHandler = lambda: cdata(True)
        parser.EndCdataSectionHandler = lambda: cdata(False)
        parser.StartDoctypeDeclHandler = doctype
        try:
            parser.Parse(self._data, True)
        except expat.ExpatError as error:
            self.fail(self._place(parser.ErrorByteIndex), self._explained(error))

    def fail(self, at: int, why: str) -> NoReturn:
        """Raise the error of the place `at`."""
        before = self._source[:at]
        line, column = before.count("\n") + 1, at - before.rfind("\n")
        raise BadRequest(
            f"the {self._kind} is wrong at line {line}, column {column}: {why}", field=self._field
        )

    def _explained(self, error: expat.ExpatError) -> str:
        why = expat.ErrorString(error.code) or "it is not well-formed"
        if error.code == expat.errors.codes[expat.errors.XML_ERROR_UNDEFINED_ENTITY]:
            return f"{why}: write the character itself, or a numeric reference such as &#160;"
        if error.code == expat.errors.codes[expat.errors.XML_ERROR_INVALID_TOKEN]:
            return f"{why}: write & as &amp; and < as &lt;"
        return why

    def _place(self, byte: int) -> int:
        """Return a place in code points. Places are asked for in order, so this is linear."""
        if byte < self._byte:  # an error may lie a little before the last event
            return len(self._data[:byte].decode("utf-8", "ignore"))
        self._char += len(self._data[self._byte : byte].decode("utf-8", "ignore"))
        self._byte = byte
        return self._char

    def _tracked(self, data: str, at: int) -> Tracked:
        if not self._in_cdata and self._text[at : at + 1] == "&":
            end = self._text.find(";", at)
            return Tracked.spanning(data, at, end + 1)
        if data == "\n" and self._text[at : at + 2] == "\r\n":
            return Tracked.spanning(data, at, at + 2)
        return Tracked.of(data, at)
