"""Read SSML 1.1 as a `Document`, without fetching anything.

- Elements and attributes that mean nothing here are listed in `Document.ignored`, and their text
  is read. `audio` is an error, because it would have to be fetched.
- Every error is a `BadRequest` (field `text`) with the line and the column.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, NoReturn

from vivavoce.errors import BadRequest
from vivavoce.names import is_name
from vivavoce.text.document import PLAIN, Document, Run, Style
from vivavoce.text.language.names import parse_language
from vivavoce.text.markup import values
from vivavoce.text.markup.alphabets import to_ipa
from vivavoce.text.markup.xml import XmlReader
from vivavoce.text.tracked import Tracked

_BEGINNING = re.compile(
    r"\A(?:\s|\ufeff)*+(?:<\?xml[^<>]*+>\s*+)?+(?:<!--(?:(?!-->).)*+-->\s*+)*+"
    r"<(?:speak[\s/>]|!DOCTYPE\s++speak)",
    re.DOTALL,
)
_SPACES = re.compile(r"[ \t\r\n]+")
_CLOSED = re.compile(r"[.!?…:;,。！？；：，、।—][\"'”’»)\]」』）》]*$")
_WIDE = re.compile("[\u3040-\u30ff\u3400-\u9fff]")
_TOKENS: Final = frozenset({"w", "token"})
_SKIPPED: Final = frozenset({"desc", "meta", "metadata", "lexicon"})
_READ_AS: Final[Mapping[str, str]] = {
    **{
        kind: kind
        for kind in (
            "characters", "spell-out", "cardinal", "ordinal", "digits", "fraction", "unit", "date",
            "time", "telephone", "currency", "expletive",
        )
    },
    "verbatim": "characters", "number": "cardinal", "number_digit": "digits", "bleep": "expletive",
}  # fmt: skip
_BLEEP: Final[Mapping[str | None, str]] = {
    "es": "bip", "fr": "bip", "it": "bip", "pt": "bipe", "ja": "ピー", "zh": "哔",
}  # fmt: skip


def is_ssml(text: str) -> bool:
    """True if `text` begins with the element `speak`, after comments and an XML declaration."""
    return _BEGINNING.match(text) is not None


def parse_ssml(text: str) -> Document:
    """Return the runs of an SSML document, with places in its source.

    Raises `BadRequest` for XML that is not well-formed, for values that mean nothing, and for
    `audio`.
    """
    xml = XmlReader(text, field="text", kind="SSML")
    reader = _SsmlReader(xml)
    xml.read(reader)
    return reader.document()


@dataclass(slots=True)
class _Element:
    name: str
    attributes: Mapping[str, str]
    at: int
    style: Style  # around it


class _SsmlReader:
    """The handler of the XML. It gathers text, and cuts it into runs."""

    def __init__(self, xml: XmlReader) -> None:
        self._xml = xml
        self._runs: list[Run] = []
        self._parts: list[Tracked] = []  # of the run that is being read
        self._last = "\n"  # the latest character
        self._style = PLAIN
        self._open: list[_Element] = []
        self._skipped = 0  # open elements whose text is not read
        self._captured: list[Tracked] | None = None  # text of an element that replaces it
        self._replacing = 0  # the number of open elements around that one
        self._ignored: dict[str, None] = {}
        self._starts: Mapping[str, Callable[[_Element], None]] = {
            "speak": self._speak, "p": self._paragraph, "s": self._sentence, "break": self._break,
            "prosody": self._prosody, "emphasis": self._emphasis, "voice": self._voice,
            "lang": self._lang, "mark": self._mark, "audio": self._audio, "phoneme": self._capture,
            "sub": self._capture, "say-as": self._capture,
        }  # fmt: skip

    def document(self) -> Document:
        self._end_run()
        return Document(tuple(self._runs), tuple(self._ignored))

    # --- what the XML reader calls ----------------------------------------------------------------

    def start(self, name: str, attributes: Mapping[str, str], at: int) -> None:
        element = _Element(name, attributes, at, self._style)
        if not self._open and name != "speak":
            self._xml.fail(at, f"it begins with {name[:40]!r}: the outermost element is 'speak'")
        self._open.append(element)
        if self._skipped or name in _SKIPPED:
            self._skipped += 1
            if name == "lexicon":
                self._ignored[name] = None
            return
        if self._captured is not None:
            if name not in _TOKENS:
                self._ignored[name[:60]] = None
            return
        if language := attributes.get("xml:lang"):
            self._restyle(replace(self._style, language=self._language(language, at)))
        if start := self._starts.get(name):
            start(element)
        elif name not in _TOKENS:
            self._ignored[name[:60]] = None

    def end(self, name: str, at: int) -> None:
        element = self._open.pop()
        if self._skipped:
            self._skipped -= 1
            return
        if self._captured is not None:
            if len(self._open) == self._replacing:
                self._replace(element, at)
            return
        if name == "p":
            self._break_paragraph(at)
        elif name == "s":
            self._stop(at)
        self._restyle(element.style)

    def text(self, text: Tracked) -> None:
        if self._skipped:
            return
        text = text.sub(_SPACES, " ")
        if self._captured is not None:
            self._captured.append(text)
            return
        self._add(text[1:] if text.text[:1] == " " and self._last.isspace() else text)

    # --- runs -------------------------------------------------------------------------------------

    def _add(self, text: Tracked) -> None:
        if text.text:
            self._parts.append(text)
            self._last = text.text[-1]

    def _end_run(self, **details: object) -> None:
        """End the run that is being read. `details` are fields of its `Run`."""
        text = Tracked.join(self._parts)
        self._parts = []
        if text.text or details:
            self._runs.append(replace(Run(text, self._style), **details))  # type: ignore[arg-type]  # fields of Run

    def _restyle(self, style: Style) -> None:
        if style != self._style:
            self._end_run()
            self._style = style

    def _stop(self, at: int) -> None:
        """End a sentence that has no mark of its own."""
        tail = "".join(part.text for part in self._parts[-3:]).rstrip() or self._last
        if not tail.isspace() and not _CLOSED.search(tail):
            stop = "。" if _WIDE.match(tail[-1]) else "."
            while self._parts and not self._parts[-1].text.strip():
                self._parts.pop()
            if self._parts:
                self._parts[-1] = _without_end(self._parts[-1])
            self._add(Tracked.spanning(stop, at, at))
        if not self._last.isspace():
            self._add(Tracked.spanning(" ", at, at))

    def _break_paragraph(self, at: int) -> None:
        if self._runs or self._parts:
            self._stop(at)
            if self._last != "\n":
                self._add(Tracked.spanning("\n\n", at, at))

    # --- elements ---------------------------------------------------------------------------------

    def _speak(self, element: _Element) -> None:
        if len(self._open) > 1:
            self._ignored["speak"] = None

    def _paragraph(self, element: _Element) -> None:
        self._break_paragraph(element.at)

    def _sentence(self, element: _Element) -> None:
        if self._runs or self._parts:
            self._stop(element.at)

    def _break(self, element: _Element) -> None:
        time, strength = element.attributes.get("time"), element.attributes.get("strength")
        if time is not None:
            pause_s = values.pause_s(time)
            if pause_s is None:
                self._wrong(element, "time", 'take seconds or milliseconds, such as "1.5s"')
        else:
            pause_s = values.STRENGTHS.get((strength or "medium").strip().lower())
            if pause_s is None:
                self._wrong(element, "strength", f"take one of {', '.join(values.STRENGTHS)}")
        self._end_run()
        if self._runs:
            before = self._runs[-1]
            total = (before.pause_s or 0.0) + pause_s
            self._runs[-1] = replace(before, pause_s=min(total, values.MAX_PAUSE_S))
        else:
            self._runs.append(Run(Tracked.of("", element.at), self._style, pause_s=pause_s))

    def _prosody(self, element: _Element) -> None:
        style = self._style
        for name, value in element.attributes.items():
            if name == "rate":
                speed = values.speed(value)
                if speed is None:
                    self._wrong(element, name, 'take a word such as "slow", or a percentage')
                style = replace(style, speed=values.bounded(style.speed * speed, values.SPEEDS))
            elif name == "volume":
                volume_db = values.volume_db(value)
                if volume_db is None:
                    self._wrong(element, name, 'take a word such as "soft", or a change in dB')
                total = values.bounded(style.volume_db + volume_db, values.VOLUMES_DB)
                style = replace(style, volume_db=total)
            elif name == "pitch" and (pitch := values.pitch(value)) is not None:
                style = replace(style, pitch=values.bounded(style.pitch * pitch, values.PITCHES))
            elif name != "xml:lang":
                self._ignored[f"prosody {name[:40]}"] = None
        self._restyle(style)

    def _emphasis(self, element: _Element) -> None:
        level = element.attributes.get("level", "moderate").strip().lower()
        if level not in values.EMPHASIS:
            self._wrong(element, "level", f"take one of {', '.join(values.EMPHASIS)}")
        speed, volume_db = values.EMPHASIS[level]
        self._restyle(
            replace(
                self._style,
                speed=values.bounded(self._style.speed * speed, values.SPEEDS),
                volume_db=values.bounded(self._style.volume_db + volume_db, values.VOLUMES_DB),
            )
        )

    def _voice(self, element: _Element) -> None:
        for attribute in element.attributes:
            if attribute not in ("name", "required", "xml:lang"):
                self._ignored[f"voice {attribute[:40]}"] = None
        if names := element.attributes.get("name", "").split():
            if not is_name(names[0]):
                self._wrong(element, "name", "take a name from /v1/tts/speakers")
            self._restyle(replace(self._style, voice=names[0]))

    def _lang(self, element: _Element) -> None:
        if not element.attributes.get("xml:lang"):
            self._missing(element, "xml:lang")

    def _mark(self, element: _Element) -> None:
        name = element.attributes.get("name")
        if not name:
            self._missing(element, "name")
        if not is_name(name):
            self._wrong(element, "name", "take a shorter one, without control characters")
        self._end_run(mark=name)

    def _audio(self, element: _Element) -> None:
        self._xml.fail(
            element.at,
            "recordings are not fetched: replace 'audio' by the text to say instead of it",
        )

    # --- elements that replace their text ---------------------------------------------------------

    def _capture(self, element: _Element) -> None:
        needed = {"phoneme": "ph", "sub": "alias", "say-as": "interpret-as"}[element.name]
        if needed not in element.attributes:
            self._missing(element, needed)
        self._captured, self._replacing = [], len(self._open) - 1

    def _replace(self, element: _Element, at: int) -> None:
        """Add what the element says instead of its text, which ends at `at`."""
        text = Tracked.join(self._captured or ())
        self._captured = None
        start, end = text.span() if text.text else (element.at, at)
        if element.name == "sub":
            self._add(Tracked.spanning(" ".join(element.attributes["alias"].split()), start, end))
        elif element.name == "phoneme":
            self._phonemes(element, text, Tracked.spanning("", start, end))
        else:
            self._say_as(element, text)
        self._restyle(element.style)

    def _phonemes(self, element: _Element, text: Tracked, place: Tracked) -> None:
        alphabet = element.attributes.get("alphabet", "ipa")
        sounds = to_ipa(element.attributes["ph"], alphabet)
        if sounds is None:
            self._ignored[f"phoneme alphabet={alphabet[:40]!r}"] = None
            self._add(text)
            return
        for symbol in sounds.unknown:
            self._ignored[f"phoneme symbol {symbol!r}"] = None
        if not sounds.ipa:
            self._add(text)
            return
        if not text.text.strip():
            text = Tracked.spanning(sounds.ipa, element.at, element.at)
        self._end_run()
        self._add(text)
        self._end_run(phonemes=sounds.ipa)

    def _say_as(self, element: _Element, text: Tracked) -> None:
        asked = element.attributes["interpret-as"].strip().lower()
        kind = _READ_AS.get(asked)
        if kind is None:
            self._ignored[f"say-as interpret-as={asked[:40]!r}"] = None
            self._add(text)
        elif kind == "expletive":
            word = _BLEEP.get(self._style.language, "bleep")
            self._add(Tracked.spanning(word, *text.span()))
        elif text.text.strip():
            self._end_run()
            self._add(text)
            self._end_run(read_as=kind, format=element.attributes.get("format", "").lower() or None)

    # --- errors -----------------------------------------------------------------------------------

    def _language(self, tag: str, at: int) -> str | None:
        try:
            return parse_language(tag)
        except BadRequest as error:
            self._xml.fail(at, f"xml:lang: {error.message}")

    def _missing(self, element: _Element, attribute: str) -> NoReturn:
        self._xml.fail(element.at, f"element {element.name!r} needs the attribute {attribute!r}")

    def _wrong(self, element: _Element, attribute: str, remedy: str) -> NoReturn:
        value = element.attributes[attribute][:40]
        self._xml.fail(
            element.at, f"{element.name!r} has the value {value!r} for {attribute!r}: {remedy}"
        )


def _without_end(text: Tracked) -> Tracked:
    return text[: len(text.text.rstrip())]
