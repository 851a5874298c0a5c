"""`vivavoce verify` tells what each kind of a book's files says, and its dates are sensible."""

import io
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.books.files import At, docx, pdf
from tests.books.generate import Document, Epub
from tests.books.test_epub import edited
from tests.books.write.narrations import short
from vivavoce.books.book import Narration
from vivavoce.books.read import read_book
from vivavoce.books.read.metadata import date_of
from vivavoce.books.write import WriteOptions, write_book
from vivavoce.cli import app
from vivavoce.provenance import Mark
from vivavoce.provenance.certificate import own_credential
from vivavoce.provenance.manifest import Signer

COMMENT = "vivavoce; synthetic speech; model=tone; voice="
MARKS = (Mark("tone", "sine"), Mark("tone", "<low> & \u202ehigh"))


def verified(path: Path) -> Result:
    return CliRunner().invoke(app, ["verify", str(path)])


def book(folder: Path, marks: tuple[Mark, ...] = MARKS) -> Narration:
    return short(folder, ["One", "Two"], marks=marks)


@pytest.mark.parametrize("format", ["m4b", "mp3", "opus", "flac", "epub", "zip", "vtt"])
def test_every_kind_of_file_tells_all_its_voices(tmp_path: Path, format: str) -> None:
    write_book(book(tmp_path), format, path := tmp_path / f"book.{format}")  # type: ignore[arg-type]
    found = verified(path)
    assert found.exit_code == 0, found.output
    said = [f"comment: {COMMENT}sine", f"comment: {COMMENT}<low> & ?high"]
    inside = [f"2 audio files: {line}" for line in said] if format in ("epub", "zip") else []
    assert found.stdout.splitlines() == said + inside


def test_subtitles_without_a_place_for_it_say_nothing(tmp_path: Path) -> None:
    write_book(book(tmp_path), "srt", path := tmp_path / "book.srt")
    found = verified(path)
    assert (found.exit_code, "says nothing" in found.stderr) == (1, True)


@pytest.mark.parametrize("format", ["epub", "zip", "vtt"])
def test_files_without_marks_say_nothing(tmp_path: Path, format: str) -> None:
    write_book(book(tmp_path, ()), format, path := tmp_path / f"book.{format}")  # type: ignore[arg-type]
    found = verified(path)
    assert (found.exit_code, found.stdout, "says nothing" in found.stderr) == (1, "", True)


def test_files_inside_are_read_with_their_manifests(tmp_path: Path) -> None:
    signer = Signer(own_credential(tmp_path / "key"), "1.0")
    write_book(book(tmp_path), "zip", path := tmp_path / "book.zip", WriteOptions(signer=signer))
    assert "2 audio files: C2PA manifest: Valid, by vivavoce 1.0" in verified(path).stdout
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    files["02 Two.mp3"] = files["02 Two.mp3"][:-9] + b"\0" * 9
    files["03 Spoof.mp3"] = b"no audio"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    found = verified(path)
    assert found.exit_code == 1
    assert "1 audio file: C2PA manifest: Invalid, by vivavoce 1.0" in found.stdout
    assert "1 audio files say nothing of their making, such as: 03 Spoof.mp3" in found.stdout


def test_a_damaged_zip_is_an_error_of_one_line(tmp_path: Path) -> None:
    write_book(book(tmp_path), "zip", path := tmp_path / "book.zip")
    path.write_bytes(path.read_bytes()[:-40])
    found = verified(path)
    assert (found.exit_code, "is not a whole zip file" in found.stderr) == (1, True)


DATES = {
    "2024-02-29T12:30:05Z": datetime(2024, 2, 29, 12, 30, 5, tzinfo=UTC),
    "2024-02-29T00:30:00.5+02:00": datetime(2024, 2, 28, 22, 30, tzinfo=UTC),
    "D:20240131120000-05'30'": datetime(2024, 1, 31, 17, 30, tzinfo=UTC),
    "D:2024": datetime(2024, 1, 1, tzinfo=UTC),
    "2024-05": datetime(2024, 5, 1, tzinfo=UTC),
    "2023-02-30": None,
    "yesterday": None,
    "0001-01-01T00:00:00+23:59": None,
}


@pytest.mark.parametrize("text", DATES)
def test_dates_of_books_are_read(text: str) -> None:
    assert date_of(text) == DATES[text]


def sources() -> dict[str, bytes]:
    """Return books that tell when they were changed last."""
    page = Document("a.xhtml", "One")
    page.paragraph("Text.")
    epub = Epub([page]).bytes()
    changed = b'<meta property="dcterms:modified">2021-03-04T05:06:08Z</meta></metadata>'
    core = (
        '<c:coreProperties xmlns:c="c" xmlns:d="d"><d:modified>{}</d:modified></c:coreProperties>'
    )
    word = docx("<w:p><w:r><w:t>Text.</w:t></w:r></w:p>", others={
        "docProps/core.xml": core.format("2021-03-04T05:06:08Z")})  # fmt: skip
    return {
        "a.epub": edited(epub, "OEBPS/book.opf", b"</metadata>", changed),
        "a.docx": word,
        "a.pdf": pdf([[At("Text.")]]).replace(
            b"/Title ()", b"/Title () /ModDate (D:20210304050608Z)"
        ),
    }


@pytest.mark.parametrize("name", sources())
def test_the_date_of_files_is_the_books_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    source = read_book(sources()[name], name)
    assert source.modified == datetime(2021, 3, 4, 5, 6, 8, tzinfo=UTC)
    made = short(tmp_path, ["One"])
    narration = Narration(
        source.__class__(made.book.title, made.book.chapters, modified=source.modified),
        made.rate_hz, made.chapters, made.narrator, made.marks,
    )  # fmt: skip
    assert _dates(narration, tmp_path) == {(2021, 3, 4, 5, 6, 8)}
    assert _dates(made, tmp_path) == {(2026, 1, 1, 0, 0, 0)}
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    assert _dates(narration, tmp_path) == {(2023, 11, 14, 22, 13, 20)}


def _dates(narration: Narration, folder: Path) -> set[tuple[int, ...]]:
    """Return the dates of the members of a book's zip and EPUB, and of its package."""
    dates = set()
    for format in ("zip", "epub"):
        write_book(narration, format, folder / "made")  # type: ignore[arg-type]
        with zipfile.ZipFile(io.BytesIO((folder / "made").read_bytes())) as archive:
            dates |= {tuple(member.date_time) for member in archive.infolist()}
            if format == "epub":
                package = archive.read("EPUB/package.opf").decode()
                text = package.partition('"dcterms:modified">')[2].partition("<")[0]
                dates.add(datetime.fromisoformat(text).timetuple()[:6])
    return dates
