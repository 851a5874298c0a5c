"""Books in HTML, Markdown, plain text, Word and PDF become chapters of spoken blocks."""

import sys
import time

import pytest

from tests.books.files import At, docx, pdf, word
from tests.books.generate import bare
from vivavoce.books.book import Book, Choices
from vivavoce.books.read import read_book
from vivavoce.books.read.files import ENDINGS
from vivavoce.errors import MissingDependency

Told = list[tuple[str, list[str]]]


def told(book: Book) -> Told:
    """Return the titles of chapters and the spoken texts."""
    return [
        (chapter.title, [block.text for block in chapter.blocks if not block.skipped])
        for chapter in book.chapters
    ]


def left_out(book: Book) -> list[tuple[str, str]]:
    return [(b.kind, b.text) for chapter in book.chapters for b in chapter.blocks if b.skipped]


def test_html_has_chapters_by_its_headings() -> None:
    book = read_book(
        b"<!doctype html><html lang=de><head><title>Die Lampe</title><meta name=author content=A>"
        b"</head><body><nav><a href=#a>Start</a></nav><h1>Die Lampe</h1><p>Vorwort"
        b"<h2 id=a>Eins</h2><p>Es war<br>einmal.<h3>Teil</h3>x<h2>Zwei</h2><p>Ende."
        b"<script>alert(1)</script>",
        "lampe.html",
    )
    assert (book.title, book.authors, book.language) == ("Die Lampe", ("A",), "de")
    assert told(book) == [
        ("Die Lampe", ["Die Lampe", "Vorwort"]),
        ("Eins", ["Eins", "Es war einmal.", "Teil", "x"]),
        ("Zwei", ["Zwei", "Ende."]),
    ]
    assert left_out(book) == [("contents", "Start")]


def test_markdown_has_notes_tables_and_code() -> None:
    book = read_book(
        b'---\ntitle: The Lamp\nauthor: "A. Writer"\nlang: en\n---\n\n# One\n\nText[^1] with '
        b"*stars*, a [link](http://example.com)\nand 2 \\* 3.\n\n- a\n- b\n\n"
        b"| x | y |\n|---|---|\n| 1 | 2 |\n\n# Two\n\n```py\nx = 1\n```\n\n> quoted\n\n"
        b"<b>bold</b>\n\n[^1]: The note.\n[^2]: Never used.\n",
        "lamp.md",
    )
    assert (book.title, book.authors, book.language) == ("The Lamp", ("A. Writer",), "en")
    assert told(book) == [
        ("One", ["One", "Text with stars, a link and 2 * 3.", "a", "b"]),
        ("Two", ["Two", "quoted", "bold", "[^2]: Never used."]),
    ]
    assert left_out(book) == [
        ("footnote", "[1]"), ("table", "x y"), ("table", "1 2"), ("code", "x = 1"),
        ("footnote", "The note. ↩︎"),
    ]  # fmt: skip


def test_wrapped_text_is_joined_and_has_chapters() -> None:
    text = (
        "The Lamp\n\nCONTENTS\n\nCHAPTER I\nCHAPTER II\nCHAPTER III\nEPILOGUE\n\n\n"
        "CHAPTER I.\nDown the Hole\n\nAlice was beginning to get very tired of sitting by her\n"
        "well-\nknown sister on the bank, and of having nothing to do: once\nor twice she had.\n\n"
        "“Yes,” she said.\n\n    Twinkle, twinkle,\n    little star\n\nCHAPTER II\n\n"
        "Part of the text that goes on over more than one line is no\nheading of any kind.\n"
    ).replace("\n", "\r\n")
    book = read_book(text.encode(), "books/the lamp.txt")
    assert book.title == "the lamp"
    assert told(book) == [
        ("the lamp", ["The Lamp"]),
        (
            "CHAPTER I. Down the Hole",
            [
                "CHAPTER I. Down the Hole",
                "Alice was beginning to get very tired of sitting by her well-known sister on the "
                "bank, and of having nothing to do: once or twice she had.",
                "“Yes,” she said.",
                "Twinkle, twinkle,",
                "little star",
            ],
        ),
        (
            "CHAPTER II",
            [
                "CHAPTER II",
                "Part of the text that goes on over more than one line is no heading of any kind.",
            ],
        ),
    ]
    assert left_out(book)[:2] == [("contents", "CONTENTS"), ("contents", "CHAPTER I")]


@pytest.mark.parametrize(
    ("heading", "is_one"),
    [
        ("Chapter 1", True), ("CHAPTER THE FIRST", True), ("Chapter Twenty-One: The End", True),
        ("Kapitel 3", True), ("Глава первая", True), ("第十二章　雨", True), ("Prologue", True),
        ("XIV.", True), ("Part Two", True), ("Chapter 7 was the best one", False),
        ("Introduction to", False), ("Part of it", False), ("mix", False), ("Book him", False),
    ],
)  # fmt: skip
def test_headings_of_plain_text(heading: str, is_one: bool) -> None:
    book = read_book(f"Begin.\n\n{heading}\n\nThe text.\n".encode(), "a.txt")
    assert (len(book.chapters) == 2) is is_one


def test_lines_without_wrapping_are_paragraphs() -> None:
    text = "One long paragraph that is on a line of its own.\nAnother one.\n第一章\n雨が降る。\n"
    book = read_book(text.encode(), "a.txt")
    assert told(book) == [
        ("a", ["One long paragraph that is on a line of its own.", "Another one."]),
        ("第一章", ["第一章", "雨が降る。"]),
    ]


def test_licence_of_project_gutenberg_is_left_out() -> None:
    text = (
        "The Project Gutenberg eBook of The Lamp\n\n"
        "*** START OF THE PROJECT GUTENBERG EBOOK THE LAMP ***\n\n"
        "Text.\n\n*** END OF THE PROJECT GUTENBERG EBOOK THE LAMP ***\n\nSection 1. Terms.\n"
    )
    book = read_book(text.encode(), "a.txt")
    assert told(book) == [("a", ["Text."])]
    assert len(left_out(book)) == 4
    assert told(read_book(text.encode(), "a.txt", Choices(copyright=True)))[0][1][0].startswith(
        "The"
    )


GUTENBERG = """The Project Gutenberg eBook of The Lamp

Title: The Lamp
  and the Road

Author: A. Writer

Language: German

*** START OF THE PROJECT GUTENBERG EBOOK THE LAMP ***

CONTENTS

 CHAPTER I. The Storm
 CHAPTER II. A Letter
 PREFACE

[Illustration]

[Illustration: The lamp
on its table]

CHAPTER I.
The Storm

It was on the _very_ morning of the third day that the captain--who had
not slept--came up on deck,[1] and nobody else dared to speak to him.

       *       *       *       *       *

[Footnote 1: He had not been there
before.]

CHAPTER II.
A Letter

There was no answer; for the mate had gone below with his watch, and
the sea was calm.

*** END OF THE PROJECT GUTENBERG EBOOK THE LAMP ***

Section 1. Terms.
"""


def test_text_of_project_gutenberg_is_read_as_the_book_that_it_was() -> None:
    book = read_book(GUTENBERG.replace("\n", "\r\n").encode(), "pg1234.txt")
    assert (book.title, book.authors, book.language) == (
        "The Lamp and the Road", ("A. Writer",), "de",
    )  # fmt: skip
    assert told(book) == [
        ("The Lamp and the Road", ["[Illustration: The lamp on its table]"]),
        (
            "CHAPTER I. The Storm",
            [
                "CHAPTER I. The Storm",
                "It was on the _very_ morning of the third day that the captain--who had not "
                "slept--came up on deck, and nobody else dared to speak to him.",
            ],
        ),
        (
            "CHAPTER II. A Letter",
            [
                "CHAPTER II. A Letter",
                "There was no answer; for the mate had gone below with his watch, and the sea was "
                "calm.",
            ],
        ),
    ]
    kinds = [kind for kind, _ in left_out(book)]
    assert kinds == [
        *["copyright"] * 6, *["contents"] * 4, "alt_text", "footnote", "paragraph", "footnote",
        *["copyright"] * 2,
    ]  # fmt: skip
    read = "".join(block.text for chapter in book.chapters for block in chapter.blocks)
    assert sorted(bare(read)) == sorted(bare(GUTENBERG))


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp1252", "Über die Brücke – „Hallo“, sagte er und lief über die Straße."),
        ("shift_jis", "吾輩は猫である。名前はまだ無い。"),
        ("euc_jp", "吾輩は猫である。名前はまだ無い。"),
        ("gb18030", "你好，世界。"),
        ("gb18030", "很久以前，在一个遥远的地方，住着一位老人。"),
        ("big5", "很久以前，在一個遙遠的地方，住著一位老人。他每天早上都去河邊釣魚。"),
        ("cp949", "옛날 옛적에 한 노인이 살았습니다. 그는 매일 아침 강가에 갔습니다."),
        ("utf-16", "吾輩は猫である。"),
        ("utf-16", "Über die Brücke."),
        ("utf-16-le", "Over the bridge went an old man."),
        ("utf-8-sig", "Über die Brücke."),
    ],
)
@pytest.mark.parametrize("form", ["<p>{}</p>", "{}"])
def test_encodings_are_found_without_a_head(encoding: str, text: str, form: str) -> None:
    name = "a.html" if form != "{}" else "a.txt"
    assert told(read_book(form.format(text).encode(encoding), name)) == [("a", [text])]


PAGE = b"<!DOCTYPE html><html><title>T</title><h1>One</h1><p>Text.</p></html>"


@pytest.mark.parametrize(
    ("data", "name"),
    [(PAGE, "a.txt"), (PAGE, "a.xyz"), (PAGE, "a"), (b"\xef\xbb\xbf \n" + PAGE, "a.text")],
)
def test_a_page_is_read_as_one_whatever_its_name(data: bytes, name: str) -> None:
    assert told(read_book(data, name)) == [("One", ["One", "Text."])]


@pytest.mark.parametrize("name", ["a.epub", "a.txt", "a.pdf", "a"])
def test_packed_books_are_told_by_what_is_in_them(name: str) -> None:
    assert told(read_book(docx(word("Text")), name)) == [("Die Lampe", ["Text"])]
    assert told(read_book(pdf([[At("Text")]]), name))[0][1] == ["Text"]


def test_front_matter_of_hugo_is_metadata() -> None:
    data = b'+++\ntitle = "The Lamp"\nlanguage = "en"\n+++\n\n# One\n\nText.\n'
    book = read_book(data, "a.md")
    assert (book.title, book.language) == ("The Lamp", "en")
    assert told(book) == [("One", ["One", "Text."])]


def test_a_text_of_one_long_line_is_read_quickly() -> None:
    line = ("The lamp stood on a table. " * 200_000).strip()
    began = time.process_time()
    assert told(read_book(line.encode(), "a.txt")) == [("a", [line])]
    assert time.process_time() - began < 10


def test_word_document_has_chapters_lists_tables_and_notes() -> None:
    note = '<w:footnote w:id="2"><w:p><w:r><w:t>The note.</w:t></w:r></w:p></w:footnote>'
    mark = '<w:r><w:footnoteReference w:id="2"/></w:r>'
    listed = "<w:p><w:pPr><w:numPr/></w:pPr><w:r><w:t>item</w:t></w:r></w:p>"
    cell = "<w:tc><w:p><w:r><w:t>{}</w:t></w:r></w:p></w:tc>"
    changes = (
        "<w:del><w:r><w:delText>gone</w:delText></w:r></w:del>"
        "<w:ins><w:r><w:t> new</w:t></w:r></w:ins>"
        "<w:r><w:tab/><w:t>tab</w:t><w:br/><w:t>line</w:t><w:noBreakHyphen/><w:t>end</w:t></w:r>"
        "<w:r><w:instrText>PAGE</w:instrText></w:r>"
    )
    body = (
        word("Die Lampe", "Title")
        + word("Eins 3", "Verzeichnis1")
        + word("Eins", "berschrift1")
        + word("Text", extra=mark + changes)
        + word("Weiter.")
        + listed
        + f"<w:tbl><w:tr>{cell.format('a')}{cell.format('b')}</w:tr></w:tbl>"
        + f"<w:tbl><w:tr>{cell.format('alone')}</w:tr></w:tbl>"
        + word("Bild 1", "Beschriftung")
        + word("Zwei", "berschrift1")
        + word("Ende.")
    )
    header = f'<w:hdr xmlns:w="{WORD_NS}"><w:p><w:r><w:t>Seite</w:t></w:r></w:p></w:hdr>'
    book = read_book(docx(body, notes=note, others={"word/header1.xml": header}), "a.docx")
    assert (book.title, book.authors, book.language) == (
        "Die Lampe", ("A. Writer", "B. Writer"), "de",
    )  # fmt: skip
    assert told(book) == [
        ("Die Lampe", ["Die Lampe"]),
        ("Eins", ["Eins", "Text new tab line-end", "Weiter.", "item", "alone", "Bild 1"]),
        ("Zwei", ["Zwei", "Ende."]),
    ]
    assert left_out(book) == [
        ("contents", "Eins 3"), ("footnote", "The note."), ("paragraph", "gone"), ("table", "a b"),
        ("page", "Seite"),
    ]  # fmt: skip


WORD_NS = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"


def body(*texts: str, top: float = 700, x: float = 72) -> list[At]:
    return [At(text, x, top - 14 * at) for at, text in enumerate(texts)]


def paged(number: int, lines: list[At], head: str = "The Lamp") -> list[At]:
    return [At(head, 250, 800, 9), *lines, At(str(number), 290, 40, 9)]


def test_pdf_has_paragraphs_without_heads_numbers_and_hyphens() -> None:
    pages = [
        paged(11, [
            At("Chapter 1", 72, 740, 18),
            *body("It was a dark and stormy night, and the rain fell in tor-",
                  "rents over the well-known roofs of the old city, so that the",
                  "lamp went out."),
            At("A second paragraph begins here with an indent and goes on un-", 90, 658),
            *body("til the page ends, as in the well-", top=644),
        ]),
        paged(12, [
            *body("known books that everybody has read, and then it is done."),
            At("The end.", 72, 660),
            At("1 A footnote in small letters.", 72, 80, 8),
        ]),
        paged(13, [At("Chapter 2", 72, 740, 18), *body("Nothing more was heard of it.")]),
    ]  # fmt: skip
    book = read_book(pdf(pages, title="The Old Lamp"), "lamp.pdf")
    assert book.title == "The Old Lamp"
    assert told(book) == [
        (
            "Chapter 1",
            [
                "Chapter 1",
                "It was a dark and stormy night, and the rain fell in torrents over the well-known "
                "roofs of the old city, so that the lamp went out.",
                "A second paragraph begins here with an indent and goes on until the page ends, as "
                "in the well-known books that everybody has read, and then it is done.",
                "The end.",
            ],
        ),
        ("Chapter 2", ["Chapter 2", "Nothing more was heard of it."]),
    ]
    kinds = left_out(book)
    assert kinds.count(("page", "The Lamp")) == 3
    assert {("page", "11"), ("page", "12"), ("page", "13")} <= set(kinds)
    assert kinds.count(("page", "-")) == 2
    assert ("footnote", "1 A footnote in small letters.") in kinds
    truth = bare("".join(line.text for page in pages for line in page))
    read = bare("".join(block.text for chapter in book.chapters for block in chapter.blocks))
    assert sorted(read) == sorted(truth)


def test_pdf_with_an_outline_has_its_chapters() -> None:
    pages = [
        body("Front matter."),
        body("Of the first chapter.") + body("Of the second, on the same page.", top=400),
    ]
    data = pdf(pages, outline=[("One", 1, 720), ("Two", 1, 420)])
    assert told(read_book(data, "a.pdf")) == [
        ("a", ["Front matter."]),
        ("One", ["Of the first chapter."]),
        ("Two", ["Of the second, on the same page."]),
    ]


def test_numbered_chapters_are_no_running_heads() -> None:
    pages = [
        [At(f"Chapter {number}", 72, 740, 18), *body(f"Text {name}.")]
        for number, name in ((1, "a"), (2, "b"), (5, "c"))
    ]
    assert [title for title, _ in told(read_book(pdf(pages), "a.pdf"))][-1] == "Chapter 5"


def test_every_ending_is_read_by_name() -> None:
    for ending in set(ENDINGS) - {"epub", "docx", "pdf"}:
        assert told(read_book(b"Hello there.", f"A.{ending.upper()}")) == [("A", ["Hello there."])]


@pytest.mark.parametrize("name", ["a.epub", "a.html", "a.md", "a.docx"])
def test_missing_library_names_the_extra(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [each for each in sys.modules if each.startswith("vivavoce.books.read.")]:
        if module not in ("vivavoce.books.read.files", "vivavoce.books.read.refusal"):
            monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "lxml", None)
    data = docx(word("Text")) if name.endswith(("docx", "epub")) else b"Text"
    with pytest.raises(MissingDependency, match=r"pip install 'vivavoce\[books\]'"):
        read_book(data, name)
