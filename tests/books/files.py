"""Write PDFs and Word documents for tests, byte by byte."""

import io
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WORD = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
STYLES = (
    ("Title", "Title"), ("berschrift1", "heading 1"), ("berschrift2", "heading 2"),
    ("Beschriftung", "caption"), ("Verzeichnis1", "toc 1"), ("Zitat", "Quote"),
)  # fmt: skip


@dataclass(frozen=True)
class At:
    """A line of a page, in points from the lower left corner."""

    text: str
    x: float = 72
    y: float = 700
    size: float = 11


def pdf(
    pages: Sequence[Sequence[At]],
    *,
    outline: Sequence[tuple[str, int, float]] = (),
    title: str = "",
    locked: bool = False,
) -> bytes:
    """Return a PDF. `outline` has titles, pages and heights."""
    count = len(pages)
    first_mark = 5 + 2 * count
    kids = " ".join(f"{5 + 2 * at} 0 R" for at in range(count))
    objects = {
        1: b"<< /Type /Catalog /Pages 2 0 R" + (b" /Outlines 4 0 R" if outline else b"") + b" >>",
        2: f"<< /Type /Pages /Kids [{kids}] /Count {count} >>".encode(),
        3: b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
        4: f"<< /First {first_mark} 0 R /Last {first_mark + len(outline) - 1} 0 R >>".encode(),
    }
    for at, lines in enumerate(pages):
        content = "".join(
            f"BT {line.x} {line.y} Td {_shown(line.text, line.size)} ET\n" for line in lines
        )
        packed = zlib.compress(content.encode("cp1252"))
        head = f"<< /Length {len(packed)} /Filter /FlateDecode >>\nstream\n".encode()
        objects[5 + 2 * at] = (
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << /Font << /F1 3 0 R"
            f" >> >> /Contents {6 + 2 * at} 0 R >>"
        ).encode()
        objects[6 + 2 * at] = head + packed + b"\nendstream"
    for at, (name, page, height) in enumerate(outline):
        following = f"/Next {first_mark + at + 1} 0 R" if at + 1 < len(outline) else ""
        objects[first_mark + at] = (
            f"<< /Title ({_escaped(name)}) /Parent 4 0 R {following}"
            f" /Dest [{5 + 2 * page} 0 R /XYZ 0 {height} 0] >>"
        ).encode("cp1252")
    objects[first_mark + len(outline)] = f"<< /Title ({_escaped(title)}) >>".encode("cp1252")
    lock = f"/Encrypt << /Filter /Standard /V 1 /R 2 /P -4 /O <{'41' * 32}> /U <{'42' * 32}> >>"
    data = b"%PDF-1.4\n"
    places = {}
    for number, body in sorted(objects.items()):
        places[number] = len(data)
        data += f"{number} 0 obj\n".encode() + body + b"\nendobj\n"
    start = len(data)
    table = "".join(f"{places[number]:010} 00000 n \n" for number in sorted(objects))
    size = len(objects) + 1
    trailer = (
        f"xref\n0 {size}\n0000000000 65535 f \n{table}trailer\n<< /Size {size} /Root 1 0 R"
        f" /Info {first_mark + len(outline)} 0 R /ID [<41><41>] {lock if locked else ''} >>\n"
        f"startxref\n{start}\n%%EOF\n"
    )
    return data + trailer.encode()


def _shown(text: str, size: float) -> str:
    """Return the operators that show a text, with `^1^` raised and small."""
    parts = []
    for at, part in enumerate(text.split("^")):
        own, rise = (0.65 * size, 0.4 * size) if at % 2 else (size, 0)
        parts.append(f"/F1 {own} Tf {rise} Ts ({_escaped(part)}) Tj")
    return " ".join(parts)


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")


def docx(body: str, *, notes: str = "", others: dict[str, str] | None = None) -> bytes:
    """Return a Word document. `body` and `notes` are its XML, `others` further files."""
    styles = "".join(
        f'<w:style w:type="paragraph" w:styleId="{key}"><w:name w:val="{name}"/></w:style>'
        for key, name in STYLES
    )
    defaults = (
        '<w:docDefaults><w:rPrDefault><w:rPr><w:lang w:val="de-DE"/></w:rPr></w:rPrDefault>'
        "</w:docDefaults>"
    )
    core = (
        '<cp:coreProperties xmlns:cp="c" xmlns:dc="d"><dc:title>Die Lampe</dc:title>'
        "<dc:creator>A. Writer; B. Writer</dc:creator></cp:coreProperties>"
    )
    files = {
        "[Content_Types].xml": "<Types/>",
        "word/document.xml": f"<w:document {WORD}><w:body>{body}</w:body></w:document>",
        "word/styles.xml": f"<w:styles {WORD}>{defaults}{styles}</w:styles>",
        "word/footnotes.xml": f"<w:footnotes {WORD}>{notes}</w:footnotes>",
        "docProps/core.xml": core,
        **(others or {}),
    }
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return file.getvalue()


def word(text: str, style: str = "", extra: str = "") -> str:
    """Return a paragraph of a Word document, with more XML behind its text."""
    named = f'<w:pPr><w:pStyle w:val="{style}"/></w:pPr>' if style else ""
    return f'<w:p>{named}<w:r><w:t xml:space="preserve">{escape(text)}</w:t></w:r>{extra}</w:p>'
