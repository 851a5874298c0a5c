"""`Tracked`: rewritten text knows where it came from."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivavoce.text.tracked import Tracked

PATTERNS = st.sampled_from([r"\d+", r"[aeiou]", r"\s+", r"b*", r"(a)(b)", r"."])


def origins(tracked: Tracked, source: str) -> list[str]:
    """Return the author's text of each word."""
    return [
        source[slice(*tracked.span(*word.span()))] for word in re.finditer(r"\S+", tracked.text)
    ]


def test_word_stands_for_what_it_replaces() -> None:
    source = "It costs $5 or 10 min, Dr. Who."
    text = Tracked.of(source).sub(re.compile(r"\$5"), "five dollars")
    text = text.sub(re.compile(r"(10) (min)"), lambda m: [("ten", 1), " ", ("minutes", 2)])
    text = text.sub(re.compile(r"Dr\."), "Doctor")
    assert text.text == "It costs five dollars or ten minutes, Doctor Who."
    assert origins(text, source) == [
        "It", "costs", "$5", "$5", "or", "10", "min,", "Dr.", "Who.",
    ]  # fmt: skip


def test_kept_group_keeps_its_own_characters() -> None:
    text = Tracked.of("see [the page](x.html) now").sub(re.compile(r"\[(.*?)\]\(.*?\)"), r"\1")
    assert text.text == "see the page now"
    assert origins(text, "see [the page](x.html) now") == ["see", "the", "page", "now"]


def test_characters_of_any_length_keep_their_place() -> None:
    text = Tracked.of("aßc").map(lambda c: {"ß": "ss", "c": ""}.get(c, c))
    assert (text.text, text.span(1, 3), text.span(3, 3)) == ("ass", (1, 2), (2, 2))


@pytest.mark.parametrize("new", ["", "x", "axb", "ab", "aab", "abb"])
def test_replacement_in_the_middle(new: str) -> None:
    text = Tracked.of("1ab2").sub(re.compile("ab"), lambda _: new)
    assert text.text == f"1{new}2"
    assert (text.span(0, 1), text.span(len(text) - 1)) == ((0, 1), (3, 4))


def test_insertion_into_a_replacement_keeps_spans_in_order() -> None:
    text = Tracked.of("a.b").sub(re.compile("a.b"), "one2three").sub(re.compile(r"(?<=e)"), " ")
    assert text.text == "one 2thre e "
    assert list(text.starts) == sorted(text.starts)
    assert list(text.ends) == sorted(text.ends)


@given(st.text("ab1 é", max_size=30), PATTERNS, st.text("abc ", max_size=4))
def test_sub_equals_that_of_re_and_spans_stay_in_order(text: str, pattern: str, new: str) -> None:
    compiled = re.compile(pattern)
    tracked = Tracked.of(text).sub(compiled, lambda _: new)
    assert tracked.text == compiled.sub(lambda _: new, text)
    assert len(tracked.starts) == len(tracked.ends) == len(tracked.text)
    assert list(tracked.starts) == sorted(tracked.starts)
    assert list(tracked.ends) == sorted(tracked.ends)
    assert all(
        0 <= start <= end <= len(text)
        for start, end in zip(tracked.starts, tracked.ends, strict=True)
    )


@given(
    st.lists(
        st.one_of(st.sampled_from(["", " ", "xy"]), st.tuples(st.text("ab"), st.integers(0, 3))),
        max_size=5,
    )
)
def test_pieces_stay_in_order(pieces: list[str | tuple[str, int]]) -> None:
    text = Tracked.of("-12 ab 3-12 ab 3-").sub(re.compile(r"(\d+) (ab) (\d)"), lambda _: pieces)
    assert list(text.starts) == sorted(text.starts)
    assert list(text.ends) == sorted(text.ends)
    assert all(s <= e for s, e in zip(text.starts, text.ends, strict=True))
