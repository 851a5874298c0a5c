"""PDFs of many layouts: heads, columns, notes and contents are told apart, and none is lost."""

from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.books.files import At, pdf
from tests.books.generate import bare
from tests.books.test_forms import left_out, told
from vivavoce.books.book import Book, Choices
from vivavoce.books.read import read_book

Pages = list[list[At]]

LINES = (
    "The rain fell in torrents over the roofs", "of the old city, so that nobody went out",
    "until the morning came and the lamp was", "lit again by the keeper of the gate who",
    "had come home late in the night before", "and found no one there but a letter upon",
    "the table in the hall of the quiet house", "that told him of the journey they took.",
)  # fmt: skip
WORDS = ("ONE", "TWO", "THREE", "FOUR", "FIVE", "SIX")


def body(x: float = 72, top: float = 700) -> list[At]:
    return [At(line, x, top - 14 * at) for at, line in enumerate(LINES)]


def text_of(book: Book) -> Counter[str]:
    return Counter(bare("".join(b.text for chapter in book.chapters for b in chapter.blocks)))


def truth(pages: Pages) -> Counter[str]:
    return Counter(bare("".join(line.text.replace("^", "") for page in pages for line in page)))


def numbered(pages: Pages) -> Pages:
    return [[*page, At(str(at), 290, 40, 9)] for at, page in enumerate(pages, 1)]


def chapters(first: Callable[[int], list[At]], later: Callable[[int, int], list[At]]) -> Pages:
    """Return a book of three chapters of three pages, with what stands above their texts."""
    pages: Pages = []
    for number in range(1, 4):
        pages.append([*first(number), *body()])
        pages += [[*later(number, len(pages) + more), *body()] for more in (1, 2)]
    return pages


NAMES = ("", "The Storm", "A Letter", "Home Again")
HEADED: dict[str, tuple[Pages, list[str]]] = {
    "same head on each page": (
        numbered(chapters(lambda n: [At(f"Chapter {n}", 250, 800)],
                          lambda n, page: [At(f"Chapter {n}", 250, 800)])),
        ["Chapter 1", "Chapter 2", "Chapter 3"],
    ),
    "in words": (
        numbered(chapters(lambda n: [At(f"CHAPTER {WORDS[n - 1]}", 250, 800)],
                          lambda n, page: [At(f"CHAPTER {WORDS[n - 1]}", 250, 800)])),
        ["CHAPTER ONE", "CHAPTER TWO", "CHAPTER THREE"],
    ),
    "larger on the first page": (
        numbered(chapters(lambda n: [At(NAMES[n], 72, 800, 18)],
                          lambda n, page: [At(NAMES[n], 250, 800, 9)])),
        list(NAMES[1:]),
    ),
    "lower on the first page": (
        numbered(chapters(lambda n: [At(NAMES[n].upper(), 72, 740)],
                          lambda n, page: [At(NAMES[n], 250, 800)])),
        [name.upper() for name in NAMES[1:]],
    ),
    "head and heading on the first page": (
        numbered(chapters(lambda n: [At(f"Chapter {n}", 250, 800, 9), At(f"Chapter {n}", 72, 740)],
                          lambda n, page: [At(f"Chapter {n}", 250, 800, 9)])),
        ["Chapter 1", "Chapter 2", "Chapter 3"],
    ),
    "page number in the head": (
        chapters(lambda n: [At(f"Chapter {n}", 250, 800)],
                 lambda n, page: [At(f"CHAPTER {n}. {page + 1}", 250, 800)]),
        ["Chapter 1", "Chapter 2", "Chapter 3"],
    ),
    "left and right pages": (
        chapters(lambda n: [At(f"CHAPTER {WORDS[n - 1]}", 250, 800)],
                 lambda n, page: [At(str(page + 1), 72 if page % 2 else 500, 800, 9), At(
                     "THE OLD LAMP" if page % 2 else f"CHAPTER {WORDS[n - 1]}", 250, 800, 9)]),
        ["CHAPTER ONE", "CHAPTER TWO", "CHAPTER THREE"],
    ),
    "chapters of one page": (
        numbered([[At(f"Chapter {n}", 72, 740), *body()] for n in range(1, 6)]),
        [f"Chapter {n}" for n in range(1, 6)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", HEADED)
def test_heads_of_first_pages_are_chapters_and_running_heads_are_skipped(case: str) -> None:
    pages, titles = HEADED[case]
    book = read_book(pdf(pages), "a.pdf")
    assert [chapter.title for chapter in book.chapters] == titles
    for title, texts in told(book):
        assert texts[0] == title
        assert Counter(texts)[title] == 1
        assert not any(text.isdecimal() or text == "THE OLD LAMP" for text in texts)
    assert text_of(book) == truth(pages)
    assert {kind for kind, _ in left_out(book)} == {"page"}


@pytest.mark.parametrize("order", ["rows", "columns", "right first"])
def test_columns_are_read_one_after_the_other(order: str) -> None:
    left, right = body(50), body(320)
    right[0] = At("Second column of the page begins here", 320, 700)
    orders = {
        "rows": [line for pair in zip(left, right, strict=True) for line in pair],
        "columns": left + right,
        "right first": right + left,
    }
    title = At("A title that goes over both of the columns of this page, in one line", 50, 740)
    foot = At("A line below both columns of the page, which goes all the way across.", 50, 560)
    pages = [[title, *orders[order], foot], [*orders[order]]]
    book = read_book(pdf(pages), "a.pdf")
    (_, texts) = told(book)[0]
    page = " ".join([*LINES, right[0].text, *LINES[1:]])
    assert " ".join(texts) == f"{title.text} {page} {foot.text} {page}"
    assert text_of(book) == truth(pages)


def test_three_columns_have_notes_and_a_word_that_is_divided_between_two() -> None:
    columns = [body(x)[:6] for x in (40, 240, 440)]
    columns = [[At(line.text[:26], line.x, line.y, 9) for line in column] for column in columns]
    columns[0][5] = At("and found no one with tor-", 40, 630, 9)
    columns[1][0] = At("rents of rain on the roof,", 240, 700, 9)
    columns[1][5] = At("1 Of the middle column.", 240, 600, 7)
    rows = [line for row in zip(*columns, strict=True) for line in row]
    book = read_book(pdf([rows]), "a.pdf")
    assert "found no one with torrents of rain on the roof," in told(book)[0][1][0]
    assert left_out(book) == [("page", "-"), ("footnote", "1 Of the middle column.")]
    assert text_of(book) == truth([rows])


def test_rows_of_a_list_are_no_columns() -> None:
    rows = [
        At(text, x, 700 - 14 * at)
        for at in range(8)
        for text, x in ((f"Name of person {at}", 72), (str(at), 400))
    ]
    assert "Name of person 1 1" in " ".join(told(read_book(pdf([rows]), "a.pdf"))[0][1])


NOTED = [
    [
        At("The lamp^1^ is lit, he said.^12^ It stands 10^2^ km^2^ from here,", 72, 700),
        At("and everybody^*^ knows the 1^st^ road to it.", 72, 686),
        At("^1^ A note in small letters", 72, 90, 8),
        At("that goes on here.", 72, 80, 8),
        At("* Another one, which does not end on this", 72, 70, 8),
    ],
    [
        At("Next page of the text, which is as long as it has to be for a line.", 72, 700),
        At("page but on the next.", 72, 80, 8),
        At("2 The last.", 72, 70, 8),
    ],
]
SAID = (
    "The lamp is lit, he said. It stands 102 km2 from here, and everybody knows the 1st road to it."
)


def test_marks_of_notes_and_notes_are_left_out_as_in_an_epub() -> None:
    book = read_book(pdf(NOTED), "a.pdf")
    assert told(book)[0][1][0] == SAID
    notes = [text for kind, text in left_out(book) if kind == "footnote"]
    assert notes == [
        "1", "12", "*", "1 A note in small letters that goes on here.",
        "* Another one, which does not end on this", "page but on the next.", "2 The last.",
    ]  # fmt: skip
    assert text_of(book) == truth(NOTED)
    every = read_book(pdf(NOTED), "a.pdf", Choices(footnotes=True))
    assert "1 A note in small letters that goes on here." in told(every)[0][1]


def test_words_are_joined_over_pages_and_their_heads_and_notes() -> None:
    pages = numbered([
        [At("The Lamp", 250, 800, 9), *body()[:6], At("and they came home in tor-", 72, 616),
         At("1 A note.", 72, 80, 8)],
        [At("The Lamp", 250, 800, 9), At("rents of rain, as one says.", 72, 700), *body(top=640)],
    ])  # fmt: skip
    book = read_book(pdf(pages), "a.pdf")
    assert "came home in torrents of rain, as one says." in told(book)[0][1][0]
    assert text_of(book) == truth(pages)


def contents(leader: str) -> list[At]:
    rows = [("The Storm", 2), ("A Letter", 3), ("Home Again", 4)]
    lines = [At("Contents", 72, 740)]
    for at, (name, page) in enumerate(rows):
        lines += [At(f"{name}{leader}{page}", 72, 700 - 28 * at)]
        lines += [At(f"Part of it{leader}{page}", 100, 686 - 28 * at)]
    return lines


@pytest.mark.parametrize("leader", [" . . . . . . ", "........", "          "])
def test_a_table_of_contents_names_the_chapters(leader: str) -> None:
    """Their headings look like any other line."""
    pages = numbered([
        contents(leader),
        *([At(name, 72, 700), *body(top=670)] for name in ("The Storm", "A Letter", "Home Again")),
    ])  # fmt: skip
    book = read_book(pdf(pages), "a.pdf")
    assert [title for title, _ in told(book)][-3:] == ["The Storm", "A Letter", "Home Again"]
    assert len([text for kind, text in left_out(book) if kind == "contents"]) == 7
    assert sum(len(texts) for _, texts in told(book)) == 6
    assert text_of(book) == truth(pages)


def test_an_outline_of_one_line_does_not_hide_the_chapters() -> None:
    pages, titles = HEADED["in words"]
    book = read_book(pdf(pages, outline=[("The whole book", 0, 800)]), "a.pdf")
    assert [chapter.title for chapter in book.chapters] == titles


PLACED = st.builds(
    At,
    st.text(st.sampled_from("abc éÄ.,-12()“”^*IX"), min_size=1, max_size=40).filter(
        lambda text: text.count("^") % 2 == 0 and bool(text.replace("^", "").strip())
    ),
    st.sampled_from([50.0, 72.0, 300.0, 320.0]),
    st.integers(2, 57).map(lambda row: 14.0 * row),
    st.sampled_from([8, 11, 18]),
)


@settings(max_examples=12, deadline=None)
@given(st.lists(st.lists(PLACED, max_size=30), min_size=1, max_size=5), st.booleans())
def test_lines_anywhere_on_a_page_are_spoken_or_listed(pages: Pages, notes: bool) -> None:
    expected = truth(pages)
    if not expected:
        return
    assert text_of(read_book(pdf(pages), "a.pdf", Choices(footnotes=notes))) == expected
