"""Check playlists, zips, subtitles and marks, and that a target is whole or as it was."""

import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import av
import pytest
import webvtt

from tests.books.write.narrations import TEXT, narrated, png, short, starts_s
from tests.decoding import decode
from vivavoce.audio import comment_in
from vivavoce.books.book import Block, Narration
from vivavoce.books.write import (
    BOOK_MEDIA_TYPES,
    BookFormat,
    ChapterFormat,
    WriteOptions,
    write_book,
)
from vivavoce.errors import BadRequest, DiskFull, SigningFailed, VivavoceError
from vivavoce.provenance import Mark
from vivavoce.provenance.certificate import own_credential
from vivavoce.provenance.manifest import Signer, read_manifest

COMMENT = "vivavoce; synthetic speech; model=tone; voice=sine"
NAMES = ["01 One.flac", "02 a b c.flac", "03 4.flac"]


def book(folder: Path, **more: Any) -> Narration:
    """Return a book of which the second chapter is not spoken, and the last has no title."""
    silent = Block("Nobody reads this.", skipped="a choice")
    chapters = [
        ("One", [Block("First."), Block(TEXT)]), ("Silent", [silent]),
        ("a/b:\n..c?", [Block("Second."), silent]), ("", [Block("Third.")]),
    ]  # fmt: skip
    return narrated(folder, chapters, **more)


def test_a_folder_has_a_file_for_each_chapter_and_a_playlist(tmp_path: Path) -> None:
    target, narration = tmp_path / "audio", book(tmp_path, cover=png())
    write_book(narration, "folder", target, WriteOptions(chapter_format="flac"))
    assert sorted(path.name for path in target.iterdir()) == [*NAMES, "cover.png", "playlist.m3u8"]
    playlist = (target / "playlist.m3u8").read_text("utf-8").splitlines()
    assert playlist[0] == "#EXTM3U"
    assert [entry for entry in playlist if not entry.startswith("#")] == NAMES
    assert f"# {COMMENT}" in playlist
    spoken = [chapter for chapter in narration.chapters if chapter.samples]
    for name, chapter in zip(NAMES, spoken, strict=True):
        data = (target / name).read_bytes()
        assert (comment_in(data), len(decode(data)[0])) == (COMMENT, chapter.samples)
    (target / "mine.txt").write_text("kept")
    write_book(narration, "folder", target, WriteOptions(chapter_format="flac"))
    assert (target / "mine.txt").read_text() == "kept"


@pytest.mark.parametrize("chapter_format", get_args(ChapterFormat))
def test_a_zip_has_the_same_files(tmp_path: Path, chapter_format: ChapterFormat) -> None:
    target = tmp_path / "book.zip"
    write_book(book(tmp_path), "zip", target, WriteOptions(chapter_format=chapter_format))
    with zipfile.ZipFile(target) as archive:
        assert archive.testzip() is None
        names = [name.replace("flac", chapter_format) for name in NAMES]
        assert archive.namelist() == [*names, "playlist.m3u8"]
        for name in names:
            assert comment_in(archive.read(name)) == COMMENT


@pytest.mark.parametrize("has_words", [True, False])
def test_subtitles_are_the_text_when_it_is_heard(tmp_path: Path, has_words: bool) -> None:
    narration = book(tmp_path)
    if not has_words:
        narration = replace(
            narration,
            chapters=[
                replace(each, sentences=[replace(one, words=()) for one in each.sentences])
                for each in narration.chapters
            ],
        )
    for form in ("vtt", "srt"):
        path = tmp_path / f"book.{form}"
        write_book(narration, form, path)  # type: ignore[arg-type]
        captions = (webvtt.read if form == "vtt" else webvtt.from_srt)(path).captions
        assert " ".join(each.text.replace("\n", " ") for each in captions) == (
            f"First. {TEXT} Second. Third."
        )
        ends = 0.0
        for each in captions:
            assert ends <= each.start_in_seconds <= each.end_in_seconds
            ends = each.end_in_seconds
        found = {each.text: each.start_in_seconds for each in captions}
        truth = starts_s(narration)
        assert "Second." in found
        at = round(truth[2] + narration.chapters[2].sentences[0].start_s, 3)
        assert found["Second."] == pytest.approx(int(at), abs=0.001)
    assert f"NOTE {COMMENT}\n\n" in (tmp_path / "book.vtt").read_text("utf-8")


def marked(path: Path, format: BookFormat) -> str | None:
    """Return the mark of a file, as a reader of that kind finds it."""
    match format:
        case "m4b" | "mp3" | "opus" | "flac":
            return comment_in(path.read_bytes())
        case "vtt" | "srt":
            return path.read_text("utf-8")
        case "folder":
            return (path / "playlist.m3u8").read_text("utf-8")
        case "zip":
            return zipfile.ZipFile(path).read("playlist.m3u8").decode()
        case "epub":
            return zipfile.ZipFile(path).read("EPUB/package.opf").decode()


@pytest.mark.parametrize("format", get_args(BookFormat))
def test_every_format_is_marked(tmp_path: Path, format: BookFormat) -> None:
    marks = (Mark("tone", "sine"), Mark("tone", "hum -->\n& Ü"))
    write_book(short(tmp_path, ["One"], marks=marks), format, tmp_path / "marked")
    found = marked(tmp_path / "marked", format)
    assert found is not None
    # SubRip has no place for anything but what is said
    assert (COMMENT in found) == (format != "srt")
    assert ("voice=hum" in found) == (format != "srt")
    write_book(short(tmp_path, ["One"], marks=()), format, tmp_path / "unmarked")
    assert "synthetic" not in (marked(tmp_path / "unmarked", format) or "")


def test_all_formats_have_a_media_type() -> None:
    assert {*BOOK_MEDIA_TYPES, "folder"} == set(get_args(BookFormat))


@pytest.mark.parametrize("format", ["m4b", "mp3", "flac"])
def test_audio_is_signed(tmp_path: Path, format: BookFormat) -> None:
    pytest.importorskip("c2pa", reason="needs the extra provenance")
    signer = Signer(own_credential(tmp_path / "data"), "0")
    marks = (Mark("tone", "sine"), Mark("hibari", "amber"))
    target = tmp_path / "book"
    narration = short(tmp_path, ["One", "Two"], cover=png(), marks=marks)
    write_book(narration, format, target, WriteOptions(signer=signer))
    manifest = read_manifest(target.read_bytes())
    assert manifest is not None
    assert manifest.state == "Valid"
    assert "model=tone, hibari" in manifest.actions[0]
    assert "voice=sine, amber" in manifest.actions[0]
    assert comment_in(target.read_bytes()) == (
        f"{COMMENT}\nvivavoce; synthetic speech; model=hibari; voice=amber"
    )
    with av.open(str(target)) as container:  # still where they were
        starts = [float(each["start"] * each["time_base"]) for each in container.chapters()]  # type: ignore[operator]
    assert starts == pytest.approx(starts_s(narration), abs=0.002)
    write_book(short(tmp_path, ["One"], marks=()), format, target, WriteOptions(signer=signer))
    assert read_manifest(target.read_bytes()) is None


def test_a_file_that_cannot_be_signed_has_its_comment(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("c2pa", reason="needs the extra provenance")
    own = own_credential(tmp_path / "data")
    narration, target = short(tmp_path, ["One"]), tmp_path / "book.m4b"
    broken = Signer(replace(own, key=b"no key"), "0")
    write_book(narration, "m4b", target, WriteOptions(signer=broken))
    assert comment_in(target.read_bytes()) == COMMENT
    assert "its comment alone" in caplog.text
    must = WriteOptions(signer=replace(broken, is_must=True))
    with pytest.raises(SigningFailed):
        write_book(narration, "m4b", tmp_path / "other.m4b", must)
    assert not list(tmp_path.glob("other*"))


def test_a_large_file_is_signed_only_if_it_must_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("c2pa", reason="needs the extra provenance")
    monkeypatch.setattr("vivavoce.books.write.mux._SIGNED_BYTES", 1_000)
    signer, target = Signer(own_credential(tmp_path / "data"), "0"), tmp_path / "book.m4b"
    narration = short(tmp_path, ["One"])
    write_book(narration, "m4b", target, WriteOptions(signer=signer))
    assert read_manifest(target.read_bytes()) is None
    assert comment_in(target.read_bytes()) == COMMENT
    write_book(narration, "m4b", target, WriteOptions(signer=replace(signer, is_must=True)))
    assert read_manifest(target.read_bytes()) is not None


class Stopped(Exception):
    """What a job raises to stop the writing."""


@pytest.mark.parametrize("format", get_args(BookFormat))
def test_a_target_is_whole_or_as_it_was(tmp_path: Path, format: BookFormat) -> None:
    narration = short(tmp_path, ["One", "Two"], TEXT)
    folder = tmp_path / "out"
    folder.mkdir()
    target = folder / "book"
    shares: list[float] = []
    write_book(narration, format, target, WriteOptions(progress=shares.append))
    assert shares == sorted(shares)
    assert (shares[-1], shares[0] < 0.1 or format in ("srt", "vtt")) == (1.0, True)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    def stop(share: float) -> None:
        if share > 0.4:
            raise Stopped

    with pytest.raises(Stopped):
        write_book(narration, format, target, WriteOptions(progress=stop))
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    other = short(damaged, ["One", "Two"], "Else.")
    other.chapters[1].path.write_bytes(b"no audio")
    if format not in ("srt", "vtt"):
        with pytest.raises(VivavoceError, match="chapter 'Two'"):
            write_book(other, format, target)
    found = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert found.keys() == before.keys()
    if format != "folder":  # of which each file is whole
        assert found == before


def test_what_a_killed_process_left_is_replaced(tmp_path: Path) -> None:
    for name in ("book.zip.new", "book.zip.new.part"):
        (tmp_path / name).write_bytes(b"left")
    folder = tmp_path / "audio"
    folder.mkdir()
    write_book(short(folder, ["One"]), "zip", tmp_path / "book.zip")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["audio", "book.zip"]


def test_a_book_without_speech_is_refused(tmp_path: Path) -> None:
    narration = narrated(tmp_path, [("One", [Block("No.", skipped="a choice")])])
    with pytest.raises(BadRequest, match="has no chapter that was spoken"):
        write_book(narration, "m4b", tmp_path / "book.m4b")


def test_a_place_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DiskFull, match=r"cannot write '.*/none/book.m4b' \(No such file"):
        write_book(short(tmp_path, ["One"]), "m4b", tmp_path / "none" / "book.m4b")


FILL = """
import resource, sys
from pathlib import Path
from tests.books.write.narrations import TEXT, short
from vivavoce.books.write import write_book
from vivavoce.errors import DiskFull

folder = Path(sys.argv[1])
narration = short(folder, ["One", "Two"], TEXT * 4)
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
for format in ("m4b", "mp3", "opus", "flac", "epub", "zip"):
    try:
        write_book(narration, format, folder / f"book.{format}")
        print(format, "was written")
    except DiskFull as error:
        assert "make room" in error.message, error.message
print(sorted(path.name for path in folder.iterdir() if path.name.startswith("book")))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
def test_a_full_disk_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    """A limit on the size of files fails as a full disk does."""
    command = [sys.executable, "-c", FILL, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")
