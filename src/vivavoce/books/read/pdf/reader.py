"""Read a PDF: its lines as paragraphs, without running heads, page numbers and hyphenation."""

import json
import subprocess
from dataclasses import dataclass
from typing import Any, Final

from vivavoce.books.book import Book, Choices
from vivavoce.books.processes import module_process
from vivavoce.books.read.chapters import Draft, by_headings, finished
from vivavoce.books.read.metadata import date_of
from vivavoce.books.read.pdf.columns import Line
from vivavoce.books.read.pdf.layout import Placed, paragraphs
from vivavoce.books.read.refusal import refused, title_of
from vivavoce.errors import MissingDependency

TIMEOUT_S: Final = 600.0
_CHAPTERS: Final = 3  # without a title page: more than an outline of one line has
_CHILD: Final = "vivavoce.books.read.pdf.extract"


@dataclass(frozen=True, slots=True)
class _Mark:
    """A line of the outline."""

    level: int
    title: str
    page: int
    height: float | None


def read_pdf(data: bytes, name: str, choices: Choices) -> Book:
    """Return the book in `data`. Raises `BadRequest` (`file`)."""
    found = _extracted(data, name)
    pages = [[Line(*line) for line in page] for page in found["pages"]]
    placed = paragraphs(pages)
    if not placed:
        raise refused(
            name, "has pictures of its pages and no text", "recognise its text first (OCR)"
        )
    meta = found["meta"]
    title = " ".join((meta.get("Title") or "").split()) or title_of(name)
    author = " ".join((meta.get("Author") or "").split())
    marks = [_Mark(*mark) for mark in found["outline"]]
    drafts = list(by_headings([each.block for each in placed]))
    if len(marks) > 1 or len(drafts) < _CHAPTERS:
        drafts = _by_outline(placed, marks) if marks else drafts
    return Book(
        title,
        finished(drafts, choices, title),
        (author,) if author else (),
        modified=date_of(meta.get("ModDate") or meta.get("CreationDate") or ""),
    )


def _extracted(data: bytes, name: str) -> dict[str, Any]:  # JSON
    from importlib.util import find_spec

    if find_spec("pypdfium2") is None:
        raise MissingDependency("a PDF needs pypdfium2: pip install 'vivavoce[books]'")
    command, environment = module_process(_CHILD)
    try:
        child = subprocess.run(
            command, env=environment, input=data, capture_output=True, timeout=TIMEOUT_S
        )
        found: dict[str, Any] = json.loads(child.stdout)
    except subprocess.TimeoutExpired as error:
        raise refused(name, f"takes more than {TIMEOUT_S:.0f} s to read") from error
    except ValueError as error:
        raise refused(name, "is damaged, or needs too much memory or time to read") from error
    if problem := found.get("error"):
        if problem == "password":
            raise refused(name, "is protected by a password", "save it without one")
        raise refused(name, f"cannot be read ({problem})")
    return found


def _by_outline(placed: list[Placed], marks: list[_Mark]) -> list[Draft]:
    """Return chapters that begin where the outline says, at its highest level with two lines."""
    levels = sorted(mark.level for mark in marks)
    level = levels[min(1, len(levels) - 1)]
    chosen = sorted(
        (mark for mark in marks if mark.level <= level),
        key=lambda mark: (mark.page, -(mark.height or float("inf"))),
    )
    drafts = [Draft("", [])]
    for each in placed:
        while chosen and _begins(chosen[0], each):
            drafts.append(Draft(chosen.pop(0).title, []))
        drafts[-1].blocks.append(each.block)
    return drafts


def _begins(mark: _Mark, placed: Placed) -> bool:
    """True if a block stands at `mark` or behind it."""
    if placed.page != mark.page or mark.height is None:
        return placed.page >= mark.page
    return placed.bottom < mark.height
