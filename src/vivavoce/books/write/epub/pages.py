"""Make the XHTML of a chapter, with a span for each part that is highlighted."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby
from typing import Final, Literal

from vivavoce.books.book import Block, Chapter, NarratedChapter, NarratedSentence, NarratedWord

Unit = Literal["sentence", "word"]

STYLE: Final = """\
body { line-height: 1.5; margin: 5%; }
.caption, .alt_text, .copyright, .footnote { font-size: 0.9em; }
.page { font-size: 0.8em; text-align: end; }
.title_page { text-align: center; }
.verse { margin-block: 0; margin-inline-start: 2em; }
.-epub-media-overlay-active { background-color: #ffe38f; color: #000; }
"""

ACTIVE: Final = "-epub-media-overlay-active"
PLAYING: Final = "-epub-media-overlay-playing"

# By ISO 15924, languages that are written from right to left in their usual script.
_RIGHT_TO_LEFT: Final = {"ar", "dv", "fa", "he", "ps", "sd", "ug", "ur", "yi"}
_LANGUAGE = re.compile(r"[a-z]{2,3}\Z")
_NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class Clip:
    """A span of the text and its time in the audio of the chapter, in milliseconds."""

    id: str
    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class _Span:
    id: str
    start: int  # in the text of the block
    end: int
    start_s: float


def clips(chapter: NarratedChapter, unit: Unit, duration_ms: int) -> list[Clip]:
    """Return the clips of a chapter. Each ends where the next begins, so nothing is left out."""
    spans = sorted(
        (span for own in _spans(chapter, unit).values() for span in own),
        key=lambda span: span.start_s,
    )
    starts = [0] * bool(spans)
    for span in spans[1:]:
        starts.append(max(round(span.start_s * 1000), starts[-1] + 1))
    ends = [*starts[1:], max(duration_ms, starts[-1] + 1)] if spans else []
    return [Clip(span.id, start, end) for span, start, end in zip(spans, starts, ends, strict=True)]


def page(chapter: NarratedChapter, title: str, language: str | None, unit: Unit) -> str:
    """Return the document of a chapter, with all its blocks."""
    spans = _spans(chapter, unit)
    body = "\n".join(_body(chapter.chapter, spans))
    return f"""\
<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE html>
<html xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops"\
{languages(language)}>
<head>
<meta charset="UTF-8"/>
<title>{xml(title)}</title>
<link rel="stylesheet" type="text/css" href="style.css"/>
</head>
<body>
<section epub:type="chapter" role="doc-chapter" aria-label="{xml(title)}">
{body}
</section>
</body>
</html>
"""


def xml(text: str) -> str:
    """Return `text` for a place in XML. What XML cannot hold becomes U+FFFD."""
    return escape(_NOT_IN_XML.sub("\ufffd", text))


def languages(language: str | None) -> str:
    """Return the attributes of a language, with its direction, or nothing if it is unknown."""
    if language is None or not _LANGUAGE.match(language):
        return ""
    direction = ' dir="rtl"' if is_right_to_left(language) else ""
    return f' lang="{language}" xml:lang="{language}"{direction}'


def is_right_to_left(language: str | None) -> bool:
    """True if the language is written from right to left."""
    return language in _RIGHT_TO_LEFT


def _spans(chapter: NarratedChapter, unit: Unit) -> dict[int, list[_Span]]:
    """Return the spans of each block, in order and without an overlap."""
    found = dict[int, list[_Span]]()
    for number, sentence in enumerate(chapter.sentences):
        own = found.setdefault(sentence.block, [])
        words = sentence.words if unit == "word" else ()
        parts: Sequence[NarratedSentence | NarratedWord] = words or (sentence,)
        for at, part in enumerate(parts):
            start = max(part.start, own[-1].end if own else 0)
            name = f"s{number}" if part is sentence else f"s{number}w{at}"
            if start < part.end:
                own.append(_Span(name, start, part.end, part.start_s))
    return found


def _body(chapter: Chapter, spans: dict[int, list[_Span]]) -> Iterator[str]:
    """Yield the elements of the blocks. Items of a list that follow each other are one list."""
    highest = min(
        (block.level or 1 for block in chapter.blocks if block.kind == "heading"), default=1
    )
    for kind, group in groupby(enumerate(chapter.blocks), lambda each: each[1].kind):
        made = [_element(block, spans.get(at, ()), highest) for at, block in group]
        if kind == "list_item":
            yield "\n".join(["<ul>", *made, "</ul>"])
        else:
            yield from made


def _element(block: Block, spans: Sequence[_Span], highest: int) -> str:
    text = _marked(block.text, spans)
    attributes = languages(block.language)
    match block.kind:
        case "heading":
            level = min((block.level or 1) - highest + 1, 6)
            return f"<h{level}{attributes}>{text}</h{level}>"
        case "paragraph":
            return f"<p{attributes}>{text}</p>"
        case "quote":
            return f"<blockquote{attributes}><p>{text}</p></blockquote>"
        case "list_item":
            return f"<li{attributes}>{text}</li>"
        case "code":
            return f"<pre{attributes}><code>{text}</code></pre>"
        case (
            "verse"
            | "table"
            | "caption"
            | "footnote"
            | "alt_text"
            | "title_page"
            | "copyright"
            | "contents"
            | "page"
        ):
            return f'<p class="{block.kind}"{attributes}>{text}</p>'


def _marked(text: str, spans: Sequence[_Span]) -> str:
    parts, at = list[str](), 0
    for span in spans:
        parts.append(xml(text[at : span.start]))
        parts.append(f'<span id="{span.id}">{xml(text[span.start : span.end])}</span>')
        at = span.end
    return "".join([*parts, xml(text[at:])])
