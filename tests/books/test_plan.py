"""A plan tells before a book is spoken what it has, how long it takes and what is left out."""

import pytest

from vivavoce.books.book import Block, Book, Chapter, Choices
from vivavoce.books.plan import language_of, plan_book
from vivavoce.books.read import read_book

HTML = (
    "<html lang=en><title>The Lamp</title><h1>One</h1><p>" + "word " * 300 + "</p>"
    "<p lang=ja>吾輩は猫である。</p><table><tr><td>a<td>b</table>"
    "<h1>Two</h1><p>End.</p><pre>{x}</pre>"
)


def test_plan_counts_chapters_languages_and_time() -> None:
    plan = plan_book(read_book(HTML.encode(), "a.html"))
    assert [(each.title, each.blocks, each.chars) for each in plan.chapters] == [
        ("One", 3, 3 + 1499 + 8),
        ("Two", 2, 3 + 4),
    ]
    assert plan.chars == 1_517
    assert plan.languages == {"en": 1_509, "ja": 8}
    # 15 letters a second, a Japanese one counts three, and a pause after each paragraph.
    assert plan.chapters[0].audio_s == pytest.approx((3 + 1499 + 8 * 3) / 15 + 2 * 0.6)
    assert plan.audio_s == pytest.approx(sum(each.audio_s for each in plan.chapters))
    assert plan.making_s(20) == pytest.approx(plan.audio_s / 20)
    slow = plan_book(read_book(HTML.encode(), "a.html"), speed=0.5)
    assert slow.chapters[1].audio_s == pytest.approx(7 / 15 / 0.5 + 0.6)


def test_plan_lists_what_is_left_out_and_why() -> None:
    plan = plan_book(read_book(HTML.encode(), "a.html"))
    assert [(each.chapter, each.kind, each.text, each.reason) for each in plan.skipped] == [
        (0, "table", "a b", "the choice 'tables' is off"),
        (1, "code", "{x}", "the choice 'code' is off"),
    ]
    assert plan.reasons() == {"the choice 'tables' is off": 3, "the choice 'code' is off": 3}
    assert (plan.chapters[0].skipped_blocks, plan.chapters[0].skipped_chars) == (1, 3)
    everything = plan_book(read_book(HTML.encode(), "a.html", Choices(tables=True, code=True)))
    assert everything.skipped == ()


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Die alte Brücke ging über den Fluss, und niemand kam in dieser Nacht nach Hause. ", "de"),
        ("Однажды зимой старый лес стоял тихий и белый под холодной луной. ", "ru"),
        ("The lamp stood on a table near the open door and nobody came in. ", "en"),
    ],
)
def test_language_is_that_of_the_text_if_the_book_names_none(text: str, language: str) -> None:
    book = Book("A", (Chapter("A", (Block(text * 5),)),))
    assert language_of(book) == language
    assert plan_book(book).language == language


def test_book_with_nothing_spoken_has_a_plan() -> None:
    plan = plan_book(Book("A", (Chapter("A", (Block("12", "page", "page number"),)),)))
    assert (plan.chars, plan.audio_s, len(plan.skipped)) == (0, 0, 1)
