"""Read a plain text: paragraphs of lines that may be wrapped, and chapters by their headings."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Final

from vivavoce.books.book import Block, BlockKind, Book, Choices
from vivavoce.books.read.chapters import by_headings, finished
from vivavoce.books.read.encodings import decode
from vivavoce.books.read.metadata import language_code
from vivavoce.books.read.refusal import refused, title_of

_HEADING_CHARS: Final = 90
_HEADING_LINES: Final = 3
_WRAPPED_CHARS: Final = 100  # the longest lines of a text with hard line breaks
_OPEN_LINES: Final = 0.3  # of such a text's lines, that end inside a sentence
_VERSE_SHARE: Final = 0.6  # of a line's usual length, that no line of a poem reaches
_LISTED: Final = 4  # headings in a row are a table of contents
_ENTRIES: Final = 3  # likewise, without a blank line between them
_NUMBER = (  # digits, Roman, or a word that is written as a name
    r"(?:\d{1,4}|[IVXLCDM]{1,9}"
    r"|(?-i:[A-ZÀ-ÞА-Я])[^\W\d_]{1,11}(?:[ -](?-i:[A-ZÀ-ÞА-Я])[^\W\d_]{1,11})?"
    r"|[а-яё]{2,16}(?:[аь]я|[ыои]й))"
)
_NAMED = (
    "chapter|part|book|volume|letter|canto|act|scene|stave"
    "|kapitel|teil|buch|band|chapitre|partie|livre|tome|capítulo|capitulo|parte|libro"
    "|capitolo|глава|часть|книга|том"
)
_ALONE = (
    "prologue|epilogue|preface|foreword|introduction|afterword|appendix|conclusion|postscript"
    "|prolog|epilog|vorwort|nachwort|einleitung|anhang|prélude|préface|avant-propos|épilogue"
    "|prólogo|epílogo|prefacio|introducción|prefazione|prologo|epilogo|introduzione"
    "|пролог|эпилог|предисловие|послесловие|введение"
)
_HEADING = re.compile(
    rf"(?:(?:{_NAMED})[ ]{_NUMBER}(?:[ ]?[.:–—-].*|\n.*)?"
    rf"|(?:{_ALONE})[.:]?"
    r"|(?-i:[IVXLC]{1,7})\.?"
    r"|第[0-9０-９〇一二三四五六七八九十百千]{1,6}[章回部卷巻話话節节].{0,40}"
    r"|제[ ]?\d{1,4}[ ]?[장부화].{0,40}"
    r"|अध्याय[ ].{1,40})",
    re.IGNORECASE | re.DOTALL,
)
_BLANK = re.compile(r"\n[^\S\n]*+\n\s*+")
_SENTENCE_END = re.compile(r"[.!?…:;。！？」』\"'”’»)*_—-]\Z")
_WIDE_GAP = re.compile(r"(?<=[\u2e80-\u9fff\uff00-\uffef]) (?=[\u2e80-\u9fff\uff00-\uffef])")
_GUTENBERG = re.compile(r"\*\*\* ?(START|END) OF TH(?:E|IS) PROJECT GUTENBERG[^\n]*")
_FACT = re.compile(r"^(Title|Author|Language): (.*(?:\n[ ]{2,}.*)?)$", re.MULTILINE)
_HEADER_CHARS: Final = 5_000
_PICTURE = re.compile(r"\[(?:Illustration|Abbildung)(:.*)?\]", re.DOTALL)
_NOTE = re.compile(r"\[(?:Footnote|Fußnote)[ ][^\]:]{1,9}:.*", re.DOTALL)
_NOTE_MARK = re.compile(r"(?<=\S)\[(?:\d{1,3}|[A-Z*†‡])\]")
CONTENTS = re.compile(
    r"(?:table of )?contents|inhalt(?:sverzeichnis)?|sommaire|table des matières|índice"
    r"|sumário|indice|sommario|inhoud(?:sopgave)?|содержание|оглавление|目\s?次|目\s?录|もくじ",
    re.IGNORECASE,
)


def read_plain(data: bytes, name: str, choices: Choices) -> Book:
    """Return the book in `data`. Raises `BadRequest` (`file`) if it has no text."""
    text = decode(data).replace("\r\n", "\n").replace("\r", "\n").replace("\f", "\n\n")
    blocks = list(blocks_of(text))
    if not blocks:
        raise refused(name, "is empty", "choose a file with text")
    facts = _facts(text)
    title = facts.get("Title") or title_of(name)
    authors = tuple(filter(None, [facts.get("Author")]))
    chapters = finished(by_headings(blocks), choices, title)
    return Book(title, chapters, authors, language_code(facts.get("Language", "")))


def _facts(text: str) -> dict[str, str]:
    """Return what the header of Project Gutenberg tells of a book."""
    start = _GUTENBERG.search(text)
    header = text[: start.start()][:_HEADER_CHARS] if start else ""
    return {found[1]: " ".join(found[2].split()) for found in _FACT.finditer(header)}


def blocks_of(text: str) -> list[Block]:
    """Return the headings and paragraphs of a text with `\\n` as its line breaks."""
    blocks: list[Block] = []
    start = 0
    for mark in _GUTENBERG.finditer(text):  # the licence of Project Gutenberg, around the book
        kind: BlockKind = "copyright" if mark[1] == "START" else "paragraph"
        blocks += _paragraphs(text[start : mark.start()], kind)
        blocks += _paragraphs(mark[0], "copyright")
        start = mark.end()
    ended = start > 0 and blocks[-1].text.find("END OF") >= 0
    blocks += _paragraphs(text[start:], "copyright" if ended else "paragraph")
    return _noted(_without_lists(blocks))


def _noted(blocks: list[Block]) -> list[Block]:
    """Return blocks with the marks of notes behind their paragraphs, if there are notes."""
    if not any(block.kind == "footnote" for block in blocks):
        return blocks
    found: list[Block] = []
    for block in blocks:
        marks = _NOTE_MARK.findall(block.text) if block.kind == "paragraph" else []
        found.append(replace(block, text=_NOTE_MARK.sub("", block.text)) if marks else block)
        found += [Block(mark, "footnote") for mark in marks]
    return found


def is_heading(lines: Sequence[str]) -> bool:
    """True if these lines are the heading of a chapter."""
    text = "\n".join(" ".join(line.split()) for line in lines)
    return (
        len(lines) <= _HEADING_LINES
        and len(text) <= _HEADING_CHARS
        and bool(_HEADING.fullmatch(text))
    )


def joined(lines: Sequence[str]) -> str:
    """Return the lines of a paragraph as one, without a space where a word goes on."""
    text = ""
    parts = []
    for line in lines:
        parts.append("" if _ends_open(text) else " ")
        parts.append(line.strip())
        text = parts[-1]
    return _WIDE_GAP.sub("", " ".join("".join(parts).split()))


def _ends_open(line: str) -> bool:
    """True if a line ends with a hyphen or a dash after a letter."""
    return len(line) > 1 and line[-1] in "-—" and line[-2].isalpha()


def _paragraphs(text: str, kind: BlockKind) -> Iterator[Block]:
    all_lines = [line.strip() for line in text.split("\n")]
    lengths = sorted(len(line) for line in all_lines if line)
    if not lengths:
        return
    width = lengths[len(lengths) * 9 // 10]
    unfinished = sum(bool(line) and not _SENTENCE_END.search(line) for line in all_lines)
    is_wrapped = width <= _WRAPPED_CHARS and unfinished > _OPEN_LINES * len(lengths)
    for part in _BLANK.split(text):
        lines = [line for line in part.split("\n") if line.strip()]
        if not lines:
            continue
        are_headings = kind == "paragraph" and len(lines) >= _ENTRIES
        if are_headings and all(is_heading([line]) for line in lines):
            yield from (Block(" ".join(line.split()), "contents") for line in lines)
        elif kind == "paragraph" and (picture := _PICTURE.fullmatch(part.strip())):
            yield Block(joined(lines), "caption" if picture[1] else "alt_text")
        elif kind == "paragraph" and _NOTE.fullmatch(part.strip()):
            yield Block(joined(lines), "footnote")
        elif kind == "paragraph" and is_heading(lines):
            yield Block(joined(lines), "heading", level=1)
        elif not is_wrapped:
            yield from (_line(line, kind) for line in lines)
        elif len(lines) > 1 and all(len(line.strip()) <= _VERSE_SHARE * width for line in lines):
            verse: BlockKind = "verse" if kind == "paragraph" else kind
            yield from (Block(" ".join(line.split()), verse) for line in lines)
        else:
            yield from (Block(joined(each), kind) for each in _indented(lines))


def _line(line: str, kind: BlockKind) -> Block:
    if kind == "paragraph" and is_heading([line]):
        return Block(" ".join(line.split()), "heading", level=1)
    return Block(" ".join(line.split()), kind)


def _indented(lines: Sequence[str]) -> Iterator[list[str]]:
    """Yield paragraphs that begin with an indented line, if some lines are and some are not."""
    paragraph: list[str] = []
    for line in lines:
        if line[0].isspace() and paragraph and not paragraph[-1][0].isspace():
            yield paragraph
            paragraph = []
        paragraph.append(line)
    yield paragraph


def _without_lists(blocks: Sequence[Block]) -> list[Block]:
    """Return `blocks` with many headings in a row as a table of contents, with its heading."""
    found: list[Block] = []
    for is_run, run in groupby(blocks, key=lambda block: block.kind == "heading"):
        group = list(run)
        listed = is_run and len(group) >= _LISTED
        found += [replace(block, kind="contents", level=0) for block in group] if listed else group
    for at, block in enumerate(found[1:]):
        if block.kind == "contents" and CONTENTS.fullmatch(found[at].text.strip(" .:")):
            found[at] = replace(found[at], kind="contents", level=0)
    return found
