"""Write the lines of a PDF as JSON, in a process of its own.

PDFium is not safe to use from several threads, and a bad file may crash it or take any memory. The
PDF comes on stdin. On stdout goes a JSON object: `error`, or `meta`, `pages` and `outline`.
"""

import json
import sys
from collections.abc import Iterator
from typing import Any, Final

MAX_BYTES: Final = 3 * 2**30  # of address space, of which PDFium reserves much
MAX_CPU_S: Final = 300
MAX_PAGES: Final = 10_000
HYPHENS: Final = (0x2, 0x2D, 0xAD, 0x2010, 0xFFFE)
HYPHEN: Final = "\x02"  # one that divides a word at the end of a line

JsonLine = tuple[str, float, float, float, float, float]  # text, left, bottom, right, top, size


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
    """Yield the lines of a page, in the order in which they were written."""
    from pypdfium2 import raw

    line: list[str] = []
    inked: list[int] = []  # places of characters that are not blank
    for at in range(text_page.count_chars()):
        code = raw.FPDFText_GetUnicode(text_page, at)
        character = chr(code) if 0 < code < 0x110000 and not 0xD800 <= code < 0xE000 else "\ufffd"
        if code in HYPHENS and raw.FPDFText_IsHyphen(text_page, at) == 1:
            character = HYPHEN
        line.append(character)
        if not character.isspace():
            inked.append(at)
        if character in ("\r", "\n", HYPHEN):
            if inked:
                yield _measured(text_page, line, inked)
            line, inked = [], []
    if inked:
        yield _measured(text_page, line, inked)


def _measured(text_page: Any, line: list[str], inked: list[int]) -> JsonLine:  # no types
    from pypdfium2 import raw

    boxes = [text_page.get_charbox(at, loose=True) for at in (inked[0], inked[-1])]
    size = raw.FPDFText_GetFontSize(text_page, inked[len(inked) // 2])
    (left, bottom, _, top), (_, _, right, _) = boxes
    height = top - bottom
    return "".join(line).strip(), left, bottom, right, top, height if height > 0 else size


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
