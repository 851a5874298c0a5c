"""Long texts in parts, and digits that are set apart."""

import pytest

from vivavoce.text.normalize import PART_CHARS, normalize, parts
from vivavoce.text.numbers.digits import separate
from vivavoce.text.tracked import Tracked


def set_apart(text: str, *, decimal_comma: bool) -> str:
    return separate(Tracked.of(text), decimal_comma=decimal_comma).text


BLOCKS = (
    "# A heading",
    "Some *prose* with [a link](https://example.com/a), an emoji 😀 and a ~~struck~~ word. " * 6,
    "1. one\n2. two\n3. three",
    "| a | b |\n|---|---|\n| c | d |",
    "<p>Tags &amp; entities</p>",
    "Zahlen wie 1.250,50 und 3,5 bleiben, wie sie sind.",
)


def test_ordinary_text_reads_the_same_in_parts_as_block_by_block() -> None:
    blocks = BLOCKS * 40
    text = "\n\n".join(blocks)
    assert len(parts(Tracked.of(text))) > 5
    assert normalize(text) == "\n\n".join(map(normalize, blocks))


@pytest.mark.parametrize("unit", ["word ", "x", "Ein Satz. ", "一句话。", "line\n", "e\u0301"])
def test_part_is_bounded_and_loses_nothing(unit: str) -> None:
    text = (unit * 100_000)[:50_000]
    found = [part for part, _ in parts(Tracked.of(text))]
    assert "".join(part.text for part in found) == text
    assert all(PART_CHARS // 2 <= len(part) <= PART_CHARS for part in found[:-1])
    assert "".join(normalize(text).split()) == "".join(normalize(unit).split()) * (
        50_000 // len(unit)
    )


def test_comment_longer_than_a_part_is_not_read() -> None:
    assert normalize(f"Before. <!-- {'hidden ' * PART_CHARS}--> After.") == "Before. After."


@pytest.mark.parametrize(
    ("written", "apart"),
    [
        ("1,250,000", "1,250,000"),
        ("$1,250.50", "$1,250.50"),
        ("1,2,3", "1, 2, 3"),
        ("1,234,56", "1, 234, 56"),
        ("1234,567,890", "1234, 567, 890"),
        ("3,5 kg", "3,5 kg"),
        ("123456789012345", "123456789012345"),
        ("1234567890123456", "1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6"),
        ("$1,000,000,000,000,000", "1 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 $"),
        ("0.1234567890123456", "0.1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6"),
    ],
)
def test_digits_that_are_no_number_are_set_apart(written: str, apart: str) -> None:
    assert set_apart(written, decimal_comma=True) == apart
    assert set_apart(apart, decimal_comma=True) == apart


def test_comma_is_no_decimal_point_in_every_language() -> None:
    assert set_apart("3,5 and 1,250", decimal_comma=False) == "3, 5 and 1,250"
