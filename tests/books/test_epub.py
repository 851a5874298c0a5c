"""EPUBs of both versions become chapters, in order, with the parts that are spoken."""

import io
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.books.generate import PNG, Document, Epub, Version, bare, novel
from vivavoce.books.book import Block, Book, Choices
from vivavoce.books.read import read_book


def blocks(book: Book) -> list[Block]:
    return [block for chapter in book.chapters for block in chapter.blocks]


def spoken(book: Book) -> list[str]:
    return [block.text for block in blocks(book) if not block.skipped]


def skipped(book: Book) -> dict[str, str]:
    return {block.text: block.skipped for block in blocks(book) if block.skipped}


def one_page(html: str, choices: Choices = Choices()) -> Book:  # noqa: B008  # frozen
    page = Document("a.xhtml", "A")
    page.add(html)
    return read_book(Epub([page]).bytes(), "a.epub", choices)


@pytest.mark.parametrize("version", [2, 3])
def test_long_book_has_its_chapters_and_all_its_text(version: Version) -> None:
    source = novel(version=version)
    book = read_book(source.bytes(), "novel.epub")
    assert [chapter.title for chapter in book.chapters] == [
        f"Chapter {number}" for number in range(1, 201)
    ]
    assert (book.title, book.authors, book.language) == ("The Lamp", ("A. Writer",), "en")
    assert book.cover is not None
    assert book.cover.data == PNG
    assert book.cover.media_type == "image/png"
    first = book.chapters[0]
    assert first.blocks[0] == Block("Chapter 1", "heading", "", "de", "OEBPS/text/c001.xhtml", 1)
    assert {block.language for block in blocks(book)} >= {"en", "de", "ru"}
    read = [block for block in blocks(book) if block.source != "OEBPS/nav.xhtml"]
    assert bare("".join(block.text for block in read)) == source.text()
    left_out = {block.kind for block in first.blocks if block.skipped}
    assert left_out == {"footnote", "table", "alt_text", "page"}


def test_choices_decide_what_is_spoken() -> None:
    html = (
        '<p>Text<sup><a epub:type="noteref" href="#n">1</a></sup> goes on.</p>'
        "<table><tr><td>a</td><td>b</td></tr></table><pre><code>x = 1</code></pre>"
        '<figure><img alt="A cat"/><figcaption>Tom</figcaption></figure>'
        '<section epub:type="titlepage"><p>The Lamp</p></section>'
        '<section epub:type="copyright-page"><p>All rights reserved</p></section>'
        '<section epub:type="toc"><p>Chapters</p></section>'
        '<aside epub:type="footnote" id="n"><p>Note</p></aside>'
    )
    assert spoken(one_page(html)) == ["Text goes on.", "Tom", "The Lamp"]
    everything = Choices(True, True, True, True, True, True, True, True)
    assert spoken(one_page(html, everything)) == [
        "Text goes on.", "a b", "x = 1", "A cat", "Tom", "The Lamp", "All rights reserved",
        "Chapters", "Note",
    ]  # fmt: skip
    nothing = Choices(False, False, False, False, False, False, False, False)
    book = one_page(html, nothing)
    assert spoken(book) == ["Text goes on."]
    assert skipped(book)["Tom"] == "the choice 'captions' is off"
    assert skipped(book)["1"] == "the mark of a note"


@pytest.mark.parametrize(
    "html",
    [
        '<p>See this.<a epub:type="noteref" href="#n">*</a></p>'
        '<aside epub:type="footnote" id="n"><p>N</p></aside>',
        '<p>See this.<a role="doc-noteref" href="#n">*</a></p><p role="doc-footnote" id="n">N</p>',
        '<p>See this.<sup><a id="r" href="#n">1</a></sup></p><p id="n"><a href="#r">1</a> N</p>',
        '<p>See this.<a id="r" href="#n"><sup>1</sup></a></p>'
        '<ol><li id="n"><p>N <a href="#r">↩</a></p></li></ol>',
        '<p>See this.<a id="r" href="#n">[1]</a></p><p><a id="n" href="#r">[1]</a> N</p>',
        '<p id="p">See this.<sup><a href="#n">1</a></sup></p><div id="n"><p>N</p><p>N</p></div>',
    ],
    ids=["typed", "role", "raised", "list", "linked back", "division"],
)
def test_footnotes_are_found_and_left_out(html: str) -> None:
    book = one_page(f"<h1>One</h1>{html}<p>The end.</p>")
    assert spoken(book) == ["One", "See this.", "The end."]
    assert {block.kind for block in blocks(book) if block.skipped} == {"footnote", "contents"}


def test_notes_on_a_page_of_their_own_are_found() -> None:
    page = Document("a.xhtml", "A")
    page.heading("One")
    page.add('<p>Text<sup><a id="r1" href="notes.xhtml#n1">1</a></sup>.</p>')
    notes = Document("notes.xhtml", "Notes")
    notes.heading("Notes")
    notes.add('<p id="n1"><a href="a.xhtml#r1">1</a>. The note.</p>')
    assert spoken(read_book(Epub([page, notes]).bytes(), "a.epub")) == ["One", "Text."]


def test_links_between_contents_and_headings_are_no_notes() -> None:
    page = Document("a.xhtml", "A")
    page.add(
        '<p><a id="t1" href="#c1">1</a></p><p><a id="t2" href="#c2">2</a></p>'
        '<h2 id="c1"><a href="#t1">1</a></h2><p>First.</p><h2 id="c2"><a href="#t2">2</a></h2>'
        '<p>Second, see <a href="#c1">1</a>.</p>'
    )
    book = read_book(Epub([page]).bytes(), "a.epub")
    assert spoken(book) == ["1", "2", "1", "First.", "2", "Second, see 1."]


def test_marks_inside_a_paragraph_leave_it_whole() -> None:
    book = one_page(
        '<p>The <span class="pagenum">[12]</span>cat '
        '<ruby>漢<rp>(</rp><rt>かん</rt><rp>)</rp></ruby><img alt="heart"/> sat.</p>'
        '<p><img alt="T"/>he end<!-- note -->.</p>'
    )
    assert spoken(book) == ["The cat 漢 sat.", "The end."]
    assert list(skipped(book))[:5] == ["[12]", "(", "かん", ")", "heart"]


def test_chapters_begin_where_the_contents_say() -> None:
    one, two, rest, three, last = (Document(f"{name}.xhtml") for name in "abcde")
    front = Document("front.xhtml")
    front.paragraph("Before all.")
    one.add(
        '<h2 id="p1">Part</h2><p>p</p><h3 id="c1">First</h3><p>1</p><h3 id="s">Section</h3><p>s</p>'
    )
    two.paragraph("Two begins.")
    rest.paragraph("Two goes on.")
    three.heading("Unlisted")
    last.paragraph("The end.")
    entries = [
        ("Part I", "a.xhtml#p1", 1),
        ("A section", "a.xhtml#s", 2),
        ("Chapter 2", "b.xhtml", 2),
        ("Elsewhere", "http://example.com/", 1),
        ("Part II", "e.xhtml", 1),
    ]
    for version in (2, 3):
        source = Epub([front, one, two, rest, three, last], entries=entries, version=version)
        book = read_book(source.bytes(), "a.epub")
        assert [(c.title, [b.text for b in c.blocks if not b.skipped]) for c in book.chapters] == [
            ("The Lamp", ["Before all."]),
            ("Part I", ["Part", "p", "First", "1", "Section", "s"]),
            ("Chapter 2", ["Two begins.", "Two goes on."]),
            ("Unlisted", ["Unlisted"]),
            ("Part II", ["The end."]),
        ]


def test_chapters_of_a_book_with_one_part_are_its_own() -> None:
    page = Document("a.xhtml")
    page.add('<h1>Book</h1><h2 id="one">One</h2><p>1</p><h2 id="two">Two</h2><p>2</p>')
    entries = [("Book", "a.xhtml", 1), ("I", "a.xhtml#one", 2), ("II", "a.xhtml#two", 2)]
    book = read_book(Epub([page], entries=entries).bytes(), "a.epub")
    assert [chapter.title for chapter in book.chapters] == ["Book", "I", "II"]


def test_two_chapters_on_a_page_begin_at_their_places() -> None:
    page = Document("a.xhtml")
    page.add('<h2><a id="one"></a>One</h2><p>1</p><div id="two"><span>2</span><h2>Two</h2></div>')
    entries = [("I", "a.xhtml#one", 1), ("II", "a.xhtml#two", 1), ("III", "a.xhtml#missing", 2)]
    book = read_book(Epub([page], entries=entries).bytes(), "a.epub")
    assert [(c.title, [b.text for b in c.blocks if not b.skipped]) for c in book.chapters] == [
        ("I", ["One", "1"]),
        ("II", ["2", "Two"]),
    ]


def test_odd_spines_are_read_once_and_lose_nothing() -> None:
    names = ["a", "b", "aside", "unlisted"]
    documents = [Document(f"{name}.xhtml", name) for name in names]
    for each in documents:
        each.paragraph(f"Text of {each.title}.")
    documents[2].linear = False
    documents[3].in_spine = False
    data = Epub(documents).bytes()
    twice = edited(
        data, "OEBPS/book.opf", b"</spine>", b'<itemref idref="d0"/><itemref idref="x"/></spine>'
    )
    book = read_book(twice, "a.epub")
    assert spoken(book) == ["Text of a.", "Text of b."]
    assert skipped(book)["Text of aside."] == "outside the book's reading order"
    assert skipped(book)["Text of unlisted."] == "outside the book's reading order"


def test_title_page_copyright_and_contents_follow_the_guide() -> None:
    title, rights, contents, one = (Document(f"{name}.xhtml", name) for name in "tkca")
    title.paragraph("THE LAMP")
    rights.paragraph("Printed in Ulm")
    contents.add(
        "<h1>Contents</h1><p><a href='a.xhtml'>One</a></p><p><a href='a.xhtml'>Chapter</a></p>"
    )
    one.paragraph("Text.")
    guide = [
        ("title-page", "t.xhtml"),
        ("copyright-page", "k.xhtml"),
        ("toc", "c.xhtml"),
        ("toc", "a.xhtml"),
    ]
    book = read_book(Epub([title, rights, contents, one], version=2, guide=guide).bytes(), "a.epub")
    kinds = {block.text: block.kind for block in blocks(book)}
    assert kinds["THE LAMP"] == "title_page"
    assert kinds["Printed in Ulm"] == "copyright"
    assert kinds["One"] == "contents"
    assert spoken(book) == ["THE LAMP", "Text."]


@pytest.mark.parametrize(
    ("encoding", "declared", "text"),
    [
        ("cp1252", "utf-8", "Die Straße – “schön”, sagte er. Und die Bäume blühten."),
        ("cp1252", "iso-8859-1", "L’été, ça allait très bien là-bas – “voilà”."),
        ("utf-8", "iso-8859-1", "Die Straße war schön."),
        ("utf-16", "utf-16", "Страна была большая."),
        ("koi8-r", "koi8-r", "Страна была большая, и лес стоял тихий."),
        ("shift_jis", "x-nonsense", "吾輩は猫である。名前はまだ無い。どこで生れたか。"),
        ("utf-8", "punycode", "Die Straße war schön."),
    ],
)
def test_wrong_encodings_are_read_right(encoding: str, declared: str, text: str) -> None:
    page = Document("a.xhtml", "A")
    page.paragraph(text)
    assert spoken(
        read_book(Epub([page], encoding=encoding, declared=declared).bytes(), "a.epub")
    ) == [text]


def test_broken_markup_keeps_its_text() -> None:
    book = one_page(
        "<h1>One<p>Two &nbsp;<b>three <i>four</b> five</i> &bogus; & <a/>six <title/>seven"
        "<![CDATA[ <eight> ]]><p>nine</div></p>ten <br> eleven</body> twelve"
    )
    text = bare("".join(block.text for block in blocks(book) if block.kind != "contents"))
    assert text == "OneTwothreefourfive&bogus;&sixseven<eight>nineteneleventwelve"


def test_addresses_with_percent_signs_and_other_case_are_found() -> None:
    page = Document("my page.xhtml", "A")
    page.paragraph("Found.")
    data = Epub([page]).bytes()
    data = edited(data, "OEBPS/book.opf", b'href="my page.xhtml"', b'href="My%20Page.xhtml"')
    assert spoken(read_book(data, "a.epub")) == ["Found."]


def test_nothing_is_fetched_and_no_entity_is_expanded() -> None:
    page = Document("a.xhtml", "A")
    page.paragraph("Text.")
    data = Epub([page]).bytes()
    evil = (
        b'<!DOCTYPE html [<!ENTITY x SYSTEM "file:///etc/passwd"><!ENTITY y "'
        + b"boom" * 1000
        + b'">]>'
    )
    data = edited(data, "OEBPS/a.xhtml", b"<!DOCTYPE html>", evil)
    data = edited(data, "OEBPS/a.xhtml", b"Text.", b"&x;&y;")
    assert spoken(read_book(data, "a.epub")) == ["&x;&y;"]


def test_headings_with_nothing_below_are_left_out() -> None:
    book = one_page(
        '<h1>Notes</h1><h2>Part one</h2><aside epub:type="footnote"><p>n</p></aside>'
        "<h1>Text</h1><p>t</p><h2>Empty</h2>"
    )
    assert spoken(book) == ["Text", "t", "Empty"]


def test_fifty_megabytes_are_read_in_bounded_time_and_memory(tmp_path: Path) -> None:
    """Of 8 million characters, beside pictures, in a process of its own."""
    with zipfile.ZipFile(tmp_path / "a.epub", "w") as archive:
        archive.writestr("OEBPS/big.png", bytes(45 * 2**20))
        with zipfile.ZipFile(io.BytesIO(novel(chapters=60, words=20_000).bytes())) as source:
            for entry in source.infolist():
                archive.writestr(entry, source.read(entry))
    assert (tmp_path / "a.epub").stat().st_size > 45e6
    script = (
        "import pathlib, resource, sys, time\n"
        "from vivavoce.books.read import read_book\n"
        "data = pathlib.Path(sys.argv[1]).read_bytes()\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "book = read_book(data, 'a.epub')\n"
        "used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before\n"
        "chars = sum(len(block.text) for each in book.chapters for block in each.blocks)\n"
        "print(chars, used // 1024, time.process_time())\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "a.epub")]
    chars, used_mib, took_s = subprocess.check_output(command, text=True).split()
    assert int(chars) > 6e6
    assert int(used_mib) < 100
    assert float(took_s) < 20


def test_obfuscated_fonts_are_no_copy_protection() -> None:
    page = Document("a.xhtml", "One")
    page.paragraph("Text.")
    file = io.BytesIO(Epub([page]).bytes())
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("OEBPS/a.otf", b"obfuscated")
        archive.writestr(
            "META-INF/encryption.xml",
            '<encryption xmlns:e="http://www.w3.org/2001/04/xmlenc#"><e:EncryptedData>'
            '<e:EncryptionMethod Algorithm="http://www.idpf.org/2008/embedding"/><e:CipherData>'
            '<e:CipherReference URI="OEBPS/a.otf"/></e:CipherData></e:EncryptedData></encryption>',
        )
    assert read_book(file.getvalue(), "a.epub").chapters[0].blocks[0].text == "Text."


def edited(data: bytes, name: str, old: bytes, new: bytes) -> bytes:
    """Return an archive with `old` replaced in one of its files."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as before, zipfile.ZipFile(file, "w") as after:
        for entry in before.infolist():
            contents = before.read(entry)
            if entry.filename == name:
                assert old in contents
                contents = contents.replace(old, new)
            after.writestr(entry, contents)
    return file.getvalue()
