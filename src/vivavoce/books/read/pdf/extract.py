"""Write the lines of a PDF as JSON, in a process of its own.

PDFium is not safe to use from several threads, and a bad file may crash it or take any memory. The
PDF comes on stdin. On stdout goes a JSON object: `error`, or `meta`, `pages` and `outline`.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

MAX_BYTES: Final = 3 * 2**30  # of address space, of which PDFium reserves much
MAX_CPU_S: Final = 300
MAX_PAGES: Final = 10_000
HYPHENS: Final = (0x2, 0x2D, 0xAD, 0x2010, 0xFFFE)
HYPHEN: Final = "\x02"  # one that divides a word at the end of a line
MARK: Final = "\x03"  # begins the mark of a note
MARK_END: Final = "\x04"
MARKS: Final = "0123456789*†‡§¶,[]()"  # what marks of notes are made of
MARK_CHARS: Final = 9
RAISED: Final = 0.2  # heights of a line
SMALL: Final = 0.85
WIDE: Final = 1.0  # heights of a line between two letters that may be in two columns
NARROW: Final = 0.15  # likewise, between two words

# text, left, bottom, right, top, size; True if it is in one row with the line before it
JsonLine = tuple[str, float, float, float, float, float, bool]
Box = tuple[float, float, float, float]  # left, bottom, right, top


def main() -> None:
    """Read stdin, write stdout."""
    _limit()
    json.dump(_extract(sys.stdin.buffer.read()), sys.stdout)


def _limit() -> None:
    try:
        import resource
    except ImportError:  # Windows has no such limits
        return
    for limit, value in ((resource.RLIMIT_AS, MAX_BYTES), (resource.RLIMIT_CPU, MAX_CPU_S)):
        hard = resource.getrlimit(limit)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(limit, (value, hard))


def _extract(data: bytes) -> dict[str, Any]:  # JSON
    import pypdfium2

    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        return {"error": "password" if "password" in str(error).lower() else str(error)}
    if len(document) > MAX_PAGES:
        return {"error": f"more than {MAX_PAGES:,} pages"}
    return {
        "meta": document.get_metadata_dict(skip_empty=True),
        "pages": [_page(document, index) for index in range(len(document))],
        "outline": list(_outline(document)),
    }


def _page(document: Any, index: int) -> list[JsonLine]:  # pypdfium2 has no types
    import pypdfium2

    try:
        page = document[index]
    except pypdfium2.PdfiumError:
        return []
    text_page = page.get_textpage()
    lines = list(_lines(text_page))
    text_page.close()
    page.close()
    return lines


def _lines(text_page: Any) -> Iterator[JsonLine]:  # pypdfium2 has no types
    """Yield the lines of a page, in the order in which they were written.

    PDFium cuts a line where letters are raised, and joins what columns have beside each other. Both
    is told by the places of the letters.
    """
    from pypdfium2 import raw

    line, ended, spaced = _Line(), False, False
    rectangle = raw.FS_RECTF()
    for at in range(text_page.count_chars()):
        code = raw.FPDFText_GetUnicode(text_page, at)
        character = chr(code) if 0 < code < 0x110000 and not 0xD800 <= code < 0xE000 else "\ufffd"
        if character.isspace():
            spaced, ended = True, ended or character in "\r\n"
            continue
        raw.FPDFText_GetLooseCharBox(text_page, at, rectangle)
        top = rectangle.top
        if top <= rectangle.bottom:  # the font does not tell
            top = rectangle.bottom + raw.FPDFText_GetFontSize(text_page, at)
        box = (rectangle.left, rectangle.bottom, rectangle.right, top)
        apart = line.apart(box) if line.boxes else 0.0
        beside = apart is not None and apart > WIDE
        if line.boxes and (beside or (ended and apart is None)):
            yield line.measured()
            line = _Line(beside=beside)
        elif line.boxes and (spaced or (ended and apart is not None and apart > NARROW)):
            line.add(" ", None)
        ended = code in HYPHENS and raw.FPDFText_IsHyphen(text_page, at) == 1
        spaced = False
        line.add(HYPHEN if ended else "\ufffd" if character in (MARK, MARK_END) else character, box)
    if line.boxes:
        yield line.measured()


@dataclass(slots=True)
class _Line:
    """A line that is being read: its characters, and the boxes of those that are not blank."""

    beside: bool = False
    text: list[str] = field(default_factory=list)
    places: list[int] = field(default_factory=list)  # in the text, of the boxes
    boxes: list[Box] = field(default_factory=list)

    def add(self, character: str, box: Box | None) -> None:
        if box is not None:
            self.places.append(len(self.text))
            self.boxes.append(box)
        self.text.append(character)

    def apart(self, box: Box) -> float | None:
        """Return how far a box is behind the last one, in heights, or None if not in its row."""
        _, bottom, right, top = self.boxes[-1]
        height = max(top - bottom, box[3] - box[1])
        lower = min(top - bottom, box[3] - box[1])
        shared = min(top, box[3]) - max(bottom, box[1])
        if height <= 0 or shared < lower / 2 or box[0] - right < -height / 2:
            return None
        return (box[0] - right) / height

    def measured(self) -> JsonLine:
        """Return the line, with the marks of notes between `MARK` and `MARK_END`."""
        boxes = sorted(self.boxes, key=lambda box: box[3] - box[1])
        _, bottom, _, top = boxes[len(boxes) // 2]
        size = top - bottom
        run: list[int] = []
        for place, (_, low, _, high) in zip(self.places, self.boxes, strict=True):
            if low > bottom + RAISED * size and high - low < SMALL * size:
                run.append(place)
            else:
                self._mark(run)
                run = []
        self._mark(run)
        text = "".join(self.text)
        return text, self.boxes[0][0], bottom, self.boxes[-1][2], top, size, self.beside

    def _mark(self, run: list[int]) -> None:
        """Mark raised characters that may be that of a note."""
        raised = "".join(self.text[place] for place in run)
        if (
            raised
            and len(raised) <= MARK_CHARS
            and not raised.strip(MARKS)
            and raised.strip(",[]()")
        ):
            self.text[run[0]] = MARK + self.text[run[0]]
            self.text[run[-1]] += MARK_END


def _outline(document: Any) -> Iterator[tuple[int, str, int, float | None]]:  # no types
    """Yield level, title, page and height of each line of the outline that has a place."""
    for bookmark in document.get_toc():
        destination = bookmark.get_dest()
        page = None if destination is None else destination.get_index()
        if page is not None:
            _, view = destination.get_view()
            height = view[1] if len(view) > 1 else None
            yield bookmark.level, bookmark.get_title(), page, height


if __name__ == "__main__":
    main()
