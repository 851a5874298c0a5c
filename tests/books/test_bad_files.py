"""Bad files end in a clear error, hostile ones in linear time, and none of them reaches out."""

import asyncio
import io
import os
import stat
import struct
import time
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.books.files import WORD, At, docx, pdf, word
from tests.books.generate import CONTAINER, Document, Epub
from tests.books.test_epub import edited
from tests.conftest import app_client, tone_pool
from vivavoce.api.app import create_app
from vivavoce.books.read import read_book
from vivavoce.books.read.archive import MAX_FILES
from vivavoce.cli import app
from vivavoce.errors import BadRequest
from vivavoce.settings import Settings


def book(html: str = "<p>Text.</p>") -> bytes:
    page = Document("a.xhtml", "A")
    page.add(html)
    return Epub([page]).bytes()


def zipped(
    *files: tuple[str | zipfile.ZipInfo, bytes], packed: int = zipfile.ZIP_DEFLATED
) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", packed) as archive:
        for name, contents in files:
            archive.writestr(name, contents)
    return file.getvalue()


def link() -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo("a.xhtml")
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    return entry


def encrypted() -> bytes:
    """Return an EPUB whose files have the flag of encryption, in both of a zip's lists."""
    data = bytearray(book())
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = data.find(mark)
        while place >= 0:
            data[place + at] |= 1
            place = data.find(mark, place + 4)
    return bytes(data)


def damaged() -> bytes:
    data = zipped(
        ("META-INF/container.xml", CONTAINER.format("book.opf").encode()),
        ("book.opf", b"<package>" + b"x" * 1000 + b"</package>"),
        packed=zipfile.ZIP_STORED,
    )
    return data.replace(b"xxxx", b"yyyy")


def protected() -> bytes:
    rights = (
        b'<encryption><EncryptedData><CipherData><CipherReference URI="OEBPS/a.xhtml"/>'
        b"</CipherData></EncryptedData></encryption>"
    )
    file = io.BytesIO(book())
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("META-INF/encryption.xml", rights)
    return file.getvalue()


def bomb() -> bytes:
    return edited(book(), "OEBPS/a.xhtml", b"Text.", b"a" * 20 * 2**20)


def many_files() -> bytes:
    entry = struct.pack("<4s42x", b"PK\x01\x02")
    return book() + entry * (MAX_FILES + 1)


PAGES = [[At("Some text.")]]
BAD: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "empty": ("a.epub", lambda: b"", "is empty"),
    "zeros": ("a.txt", lambda: bytes(100), "is empty"),
    "spaces": ("a.txt", lambda: b" \n" * 100, "is empty"),
    "not a zip": ("a.epub", lambda: b"no book at all", "is no EPUB"),
    "truncated zip": ("a.epub", lambda: book()[:-100], "is not a whole zip file"),
    "beginning of a zip": ("a.epub", lambda: book()[:300], "is not a whole zip file"),
    "zip bomb": ("a.epub", bomb, "as a zip bomb does"),
    "too many files": ("a.epub", many_files, "lists more than 20,000 files"),
    "path outside": ("a.epub", lambda: zipped(("../a", b"x")), "path that leads out of it, '../a'"),
    "absolute path": ("a.epub", lambda: zipped(("/etc/a", b"x")), "path that leads out of it"),
    "windows path": ("a.epub", lambda: zipped(("C:\\a", b"x")), "path that leads out of it"),
    "link": ("a.epub", lambda: zipped((link(), b"/etc/passwd")), "holds a link or a device"),
    "encrypted zip": ("a.epub", encrypted, "is encrypted: save it without a password"),
    "odd packing": ("a.epub", lambda: zipped(("a", b"x"), packed=zipfile.ZIP_LZMA), "packs 'a' in"),
    "damaged file": ("a.epub", damaged, "is damaged at 'book.opf'"),
    "no package": ("a.epub", lambda: zipped(("a.txt", b"x")), "no EPUB: it has no package"),
    "package of nothing": ("a.epub", lambda: zipped(("a.opf", b"x")), "no package that can be"),
    "package of another kind": ("a.epub", lambda: zipped(("a.opf", b"<html/>")), "no package"),
    "missing page": (
        "a.epub",
        lambda: edited(book(), "OEBPS/book.opf", b"a.xhtml", b"b.xhtml"),
        "lacks 'b.xhtml', a part of its text",
    ),
    "OpenDocument": (
        "a.odt",
        lambda: zipped(("mimetype", b"application/vnd.oasis.opendocument.text"), packed=0),
        "is an OpenDocument file: save it as .docx",
    ),
    "copy protection": ("a.epub", protected, "is protected against copying (DRM)"),
    "no pages": ("a.epub", lambda: zipped(("a.opf", b"<package/>")), "has no text"),
    "deep nesting": ("a.epub", lambda: book("<div>" * 5_000 + "text"), "more than 2,000 deep"),
    "deep XML": ("a.epub", lambda: book("<b>" * 5_000 + "x" + "</b>" * 5_000), "nested more than"),
    "no Word document": ("a.docx", lambda: zipped(("word/x.xml", b"x")), "no Word document"),
    "Word without XML": (
        "a.docx",
        lambda: zipped(("word/document.xml", b"<a>")),
        "is damaged at 'word/document.xml'",
    ),
    "Word without text": ("a.docx", lambda: docx(word("")), "has no text"),
    "old Word file": ("a.doc", lambda: b"\xd0\xcf\x11\xe0" + bytes(600), "is an old Word file"),
    "rich text": ("a.rtf", lambda: b"{\\rtf1 Text}", "is RTF: save it as .docx"),
    "Kindle book": ("a.mobi", lambda: b"A" + bytes(59) + b"BOOKMOBI" + bytes(9), "is a Kindle"),
    "packed": ("a.txt.gz", lambda: b"\x1f\x8b\x08" + bytes(99), "is packed with gzip: unpack it"),
    "rar": ("a.cbr", lambda: b"Rar!\x1a\x07" + bytes(99), "is a RAR archive"),
    "picture": ("a.jpg", lambda: b"\xff\xd8\xff\xe0" + bytes(99), "is a picture"),
    "audio": ("a.mp3", lambda: b"ID3\x04" + bytes(99), "is audio"),
    "unknown ending": ("a.xyz", lambda: b"Some text.", "choose one of epub, docx, pdf, html"),
    "binary text": ("a.txt", lambda: bytes(range(256)) * 9, "is no text, although its name"),
    "PDF with a password": ("a.pdf", lambda: pdf(PAGES, locked=True), "protected by a password"),
    "scanned PDF": ("a.pdf", lambda: pdf([[], []]), "pictures of its pages and no text"),
    "PDF of nothing": ("a.pdf", lambda: b"%PDF-1.7\nnothing", "cannot be read"),
    "no PDF": ("a.pdf", lambda: b"Text", "is no PDF, although its name says so"),
    "empty page": ("a.html", lambda: b"<html><body><script>x</script>", "has no text"),
    "comment alone": ("a.html", lambda: b"<!-- nothing -->", "is empty"),
    "deep Markdown": ("a.md", lambda: b">" * 300 + b"text", "nested more than 20 deep"),
    "Markdown of nothing": ("a.md", lambda: b"---\ntitle: x\n---\n", "is empty"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_file_is_a_clear_error(case: str) -> None:
    name, make, why = BAD[case]
    with pytest.raises(BadRequest) as found:
        read_book(make(), f"books/{name}")
    message = found.value.message
    assert found.value.field == "file"
    assert message.startswith(f"the file 'books/{name}' ")
    assert why in message
    assert len(message.rpartition(": ")[2].split()) >= 2  # what to do
    assert len(message) < 400


async def test_bad_files_are_the_same_errors_of_the_command_and_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in {"DATA_DIR": str(tmp_path / "data"), "MODELS": "tone"}.items():
        monkeypatch.setenv(f"VIVAVOCE_{name}", value)
    monkeypatch.setenv("VIVAVOCE_ISOLATE_MODELS", "false")
    server = create_app(Settings(data_dir=tmp_path / "server"), tone_pool())
    async with app_client(server) as client:
        for case, (name, make, why) in BAD.items():
            await asyncio.to_thread(Path(name).write_bytes, data := make())
            command = ["book", name, "-o", "out.flac"]
            done = await asyncio.to_thread(CliRunner().invoke, app, command)
            answer = await client.post("/v1/jobs", files={"file": (name, data)})
            error = answer.json()["error"]
            assert (done.exit_code, answer.status_code, error["field"]) == (1, 422, "file"), case
            assert done.output == f"vivavoce: {error['message']}\n", case
            assert why in error["message"], case
            await asyncio.to_thread(Path(name).unlink)
    assert set(await asyncio.to_thread(os.listdir)) <= {"data", "server"}


def test_long_name_is_cut_in_errors() -> None:
    with pytest.raises(BadRequest) as found:
        read_book(b"", "a" * 5_000 + ".epub")
    assert len(found.value.message) < 200


HOSTILE: dict[str, tuple[str, Callable[[int], bytes]]] = {
    "attribute": ("a.epub", lambda n: book(f'<p class="{"x " * n}" id="{"y" * n}">text</p>')),
    "many": ("a.epub", lambda n: book(f"<p {' '.join(f'a{i}=1' for i in range(n // 8))}>t")),
    "open tags": ("a.html", lambda n: b"text" + b"<" * n),
    "half tags": ("a.html", lambda n: b"text" + b"<a " * n),
    "half tags with quotes": ("a.html", lambda n: b"text" + b"<a b='" * n),
    "unclosed": ("a.html", lambda n: b"<p>text" * n),
    "formatting": ("a.html", lambda n: b"<p>" + b"<b><i>x</b></i>" * (n // 4)),
    "tables": ("a.html", lambda n: (b"<table><tr><td>x" * 400 + b"</table>" * 400) * (n // 8_000)),
    "links": ("a.html", lambda n: b"<p id=p>" + b"<a href=#n id=r>1</a>x" * (n // 9) + b"<p id=n>"),
    "links back": (
        "a.html",
        lambda n: b"".join(
            b"<p id=p%d>x<a id=a%d href=#b%d>1</a><p id=b%d><a href=#a%d>1</a>y" % ((i,) * 5)
            for i in range(n // 40)
        ),
    ),
    "deep ids": ("a.html", lambda n: b"<span>" * 1_000 + b"<a id=x href=#y>1</a> " * (n // 8)),
    "entities": ("a.epub", lambda n: book("&amp;&x;&" * n)),
    "doctype": ("a.html", lambda n: b"<!DOCTYPE html [" * n + b"text"),
    "sections": ("a.html", lambda n: b"<p>text<![CDATA[" * n),
    "spaces": ("a.txt", lambda n: b"a" + b" " * n + b"\n" + b" \n" * n + b"b"),
    "lines": ("a.txt", lambda n: b"chapter " * n + b"\nPart One\n" * n),
    "hyphens": ("a.txt", lambda n: b"a-\nb\n" * n),
    "letters": ("a.txt", lambda n: "ä".encode("cp1252") * n),
    "brackets": ("a.md", lambda n: b"![" * (n // 40)),
    "stars": ("a.md", lambda n: b"*a **b " * (n // 40)),
    "notes": ("a.md", lambda n: b"[^a]\n\n[^a]: b\n\n" * (n // 40)),
    "runs": ("a.docx", lambda n: docx("<w:p>" + "<w:r><w:t>x</w:t></w:r>" * (n // 4) + "</w:p>")),
    "frames": ("a.docx", lambda n: docx("<w:p>" * 999 + word("x") * (n // 40) + "</w:p>" * 999)),
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_file_takes_linear_time(case: str) -> None:
    """Ten times the text takes less than 25 times as long, or next to nothing."""
    name, make = HOSTILE[case]
    took = []
    for size in (10_000, 100_000):
        data = make(size)
        started = time.process_time()
        with suppress(BadRequest):
            read_book(data, name)
        took.append(time.process_time() - started)
    assert took[1] < max(0.5, 25 * took[0])


def test_entities_of_a_word_document_are_not_expanded() -> None:
    evil = (
        '<!DOCTYPE x [<!ENTITY a "boom"><!ENTITY b "&a;&a;"><!ENTITY c SYSTEM "file:///etc/passwd">]>'
        f"<w:document {WORD}><w:body>{{}}</w:body></w:document>"
    )
    body = "<w:p><w:r><w:t>Text &b;&c;</w:t></w:r></w:p>"
    data = docx("", others={"word/document.xml": evil.format(body)})
    with pytest.raises(BadRequest, match="which is not XML"):
        read_book(data, "a.docx")
