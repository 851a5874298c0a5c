"""Every character of a source is in a block of the book, spoken or left out with a reason."""

import html
from collections import Counter
from html.parser import HTMLParser

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.books.files import At, docx, pdf, word
from tests.books.generate import Document, Epub, bare
from vivavoce.books.book import Block, Book, Choices
from vivavoce.books.plan import MAX_SENTENCE_CHARS, plan_book, sentences
from vivavoce.books.read import read_book
from vivavoce.errors import BadRequest
from vivavoce.text.split import weighted_length

LETTERS = st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Cn", "Co"))
WORDS = (
    st.text(LETTERS, min_size=1, max_size=60).map(lambda text: " ".join(text.split())).filter(bool)
)
TAGS = (
    "p div b i a span h1 h3 sup table tr td th li ul ol dl dd aside blockquote pre code figure nav"
    " figcaption section br hr ruby rt center font em small q cite button label form abbr svg text"
    " math mi"
)
CHOICES = st.builds(Choices, *[st.booleans()] * 8)


def blocks(book: Book) -> list[Block]:
    return [block for chapter in book.chapters for block in chapter.blocks]


def written(book: Book, *, without: str = "") -> str:
    return bare(
        "".join(block.text for block in blocks(book) if not without or block.source != without)
    )


@st.composite
def documents(draw: st.DrawFn) -> Document:
    """Return a page of all that books have."""
    page = Document("", draw(WORDS))
    parts = draw(st.lists(st.sampled_from(PARTS), min_size=1, max_size=8))
    for number, kind in enumerate(parts, 1):
        if kind == "heading":
            page.heading(draw(WORDS), draw(st.integers(1, 6)))
        elif kind == "paragraph":
            page.paragraph(draw(WORDS))
        elif kind == "note":
            page.noted(f"a{draw(WORDS)}", draw(WORDS), number)
            page.note(draw(WORDS), number)
        elif kind == "table":
            rows = draw(st.lists(st.lists(WORDS, min_size=1, max_size=3), min_size=1, max_size=3))
            page.table(rows, draw(WORDS))
        elif kind == "figure":
            page.figure(draw(WORDS), draw(WORDS))
        elif kind == "items":
            page.items(*draw(st.lists(WORDS, min_size=1, max_size=3)))
        elif kind == "break":
            page.page_break(number)
    page.linear = draw(st.booleans())
    page.in_spine = draw(st.booleans())
    page.listed = draw(st.booleans())
    return page


PARTS = ("heading", "paragraph", "note", "table", "figure", "items", "break")


@settings(max_examples=150, deadline=None)
@given(st.lists(documents(), min_size=1, max_size=4), CHOICES, st.sampled_from([2, 3]))
def test_epub_keeps_its_text_in_order(
    pages: list[Document], choices: Choices, version: int
) -> None:
    for at, page in enumerate(pages):
        page.name = f"text/{at}.xhtml"
    pages[0].in_spine = pages[0].linear = True
    source = Epub(pages, version=2 if version == 2 else 3)
    book = read_book(source.bytes(), "a.epub", choices)
    assert written(book, without="OEBPS/nav.xhtml") == source.text()
    listed = {(each.chapter, each.block): each.text for each in plan_book(book).skipped}
    for number, chapter in enumerate(book.chapters):
        assert chapter.title
        for at, block in enumerate(chapter.blocks):
            assert block.text
            assert block.text == " ".join(block.text.split())
            assert (listed.get((number, at)) == block.text) is bool(block.skipped)


class Reader(HTMLParser):
    """Collects the text of a page as Python's own parser sees it."""

    def __init__(self) -> None:
        super().__init__()
        self.text: list[str] = []

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.text += [value or "" for name, value in attrs if (tag, name) == ("img", "alt")]


SOUP = st.one_of(
    WORDS.map(html.escape),
    st.sampled_from(TAGS.split()).map("<{}>".format),
    st.sampled_from(TAGS.split()).map("</{}>".format),
    st.sampled_from(TAGS.split()).map("<{}/>".format),
    st.just("<!-- gone -->"),
    st.sampled_from(
        ["<p hidden>", '<p id="n">', '<a href="#n">', '<sup><a href="#n" id="r">1</a></sup>']
    ),
    st.sampled_from(['<div class="footnote">', '<span class="pagenum">', '<div role="doc-toc">']),
    WORDS.map(lambda text: f'<img alt="{html.escape(text)}">'),
    st.sampled_from(["&nbsp;", "&eacute;", "&bogus;", "&#8217;", "&amp", " ", "\n"]),
)


@settings(max_examples=400, deadline=None)
@given(st.lists(SOUP, max_size=25), CHOICES)
@example(["<table>", "<tr>", "<td>", "a", "<table>", "<tr>", "<td>", "b", "<td>", "c"], Choices())
def test_soup_of_tags_keeps_its_text(parts: list[str], choices: Choices) -> None:
    page = "<html><body>x " + "".join(parts)
    reader = Reader()
    reader.feed(page)
    reader.close()
    book = read_book(page.encode(), "a.html", choices)
    assert Counter(written(book)) == Counter(bare("".join(reader.text)))


@settings(max_examples=300, deadline=None)
@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=400), CHOICES)
def test_plain_text_keeps_its_text_in_order(text: str, choices: Choices) -> None:
    try:
        book = read_book(text.encode(), "a.txt", choices)
    except BadRequest:
        return
    kept = "".join(
        " " if ord(each) < 32 or ord(each) in (127, 0xFFFE, 0xFFFF) else each for each in text
    )
    assert written(book) == bare(kept.removeprefix("\ufeff"))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("#>-1`|"), WORDS), min_size=1, max_size=8))
def test_markdown_keeps_its_text(parts: list[tuple[str, str]]) -> None:
    source = ""
    truth = ""
    for number, (mark, words) in enumerate(parts):
        plain = "a" + "".join(each for each in words if each.isalnum() or each == " ")
        truth += plain
        source += {
            "#": f"# {plain}\n\n",
            ">": f"> {plain}\n\n",
            "-": f"- {plain}\n\n",
            "1": f"1. {plain}\n\n",
            "`": f"```\n{plain}\n```\n\n",
            "|": f"{plain}[^{number}]\n\n[^{number}]: {plain}\n\n",
        }[mark]
        truth += plain + f"[{number}]" if mark == "|" else ""
    read = written(read_book(source.encode(), "a.md")).replace("↩︎", "")
    numbers = "[]0123456789"  # of marks, which count from 1
    table = str.maketrans("", "", numbers)
    assert Counter(read.translate(table)) == Counter(bare(truth).translate(table))


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["", "berschrift1", "Zitat", "Title"]), WORDS), min_size=1)
)
def test_word_document_keeps_its_text_in_order(parts: list[tuple[str, str]]) -> None:
    data = docx("".join(word(words, style) for style, words in parts))
    assert written(read_book(data, "a.docx")) == bare("".join(words for _, words in parts))


ANSI = st.text(st.sampled_from("abcdefgh éüñßÄ.,-12()“”"), min_size=1, max_size=60).filter(
    str.strip
)


@settings(max_examples=8, deadline=None)
@given(st.lists(st.lists(ANSI, max_size=12), min_size=1, max_size=4))
def test_pdf_keeps_its_text(pages: list[list[str]]) -> None:
    data = pdf([[At(text, 72, 760 - 20 * at) for at, text in enumerate(page)] for page in pages])
    truth = bare("".join(text for page in pages for text in page))
    if not truth:
        return
    assert Counter(written(read_book(data, "a.pdf"))) == Counter(truth)


@settings(max_examples=200, deadline=None)
@given(st.text(LETTERS, max_size=1_500), st.sampled_from(["en", "de", "ru", "ja", "zh", "fr"]))
def test_sentences_hold_every_character_once(text: str, language: str) -> None:
    block = Block(" ".join(text.split()))
    spans = sentences(block, language)
    assert bare("".join(block.text[start:end] for start, end in spans)) == bare(block.text)
    end_before = 0
    for start, end in spans:
        assert end_before <= start < end
        assert not block.text[start].isspace()
        assert not block.text[end - 1].isspace()
        assert weighted_length(block.text[start:end]) <= MAX_SENTENCE_CHARS
        end_before = end


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Mr. Smith left. “Stay here with us,” she said to him. Nobody did what she wanted.",
         ["Mr. Smith left. “Stay here with us,” she said to him.", "Nobody did what she wanted."]),
        ("Yes. No.", ["Yes. No."]),
        ("吾輩は猫である。名前はまだ無い。", ["吾輩は猫である。", "名前はまだ無い。"]),
        ("", []),
    ],
)  # fmt: skip
def test_sentences_are_cut_where_a_reader_would(text: str, found: list[str]) -> None:
    assert [text[start:end] for start, end in sentences(Block(text), "en")] == found
