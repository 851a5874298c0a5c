"""Letters of other scripts are said in the reader's own, or left out and named."""

import pytest

from vivavoce.text.language.scripts import speakable
from vivavoce.text.tracked import Tracked


@pytest.mark.parametrize(
    ("text", "language", "said", "unsaid"),
    [
        ("the book книга", "en", "the book kniga", []),
        ("π is irrational", "en", "pi is irrational", []),
        ("the sign 𓀀 here", "en", "the sign  here", ["𓀀"]),
        ("el signo 𐁀", "es", "el signo ", ["𐁀"]),
    ],
)
def test_foreign_letters_are_said_or_named(
    text: str, language: str, said: str, unsaid: list[str]
) -> None:
    found, left = speakable(Tracked.of(text), language)
    assert (found.text, left) == (said, unsaid)
