"""`say_as`: texts of which the author says what they are."""

import pytest

from vivavoce.text.numbers.say_as import say_as
from vivavoce.text.numbers.verbalize import LANGUAGES


@pytest.mark.parametrize(
    ("language", "kind", "format", "text", "said"),
    [
        ("en", "characters", None, "ab1", "A B one"),
        ("en", "spell-out", None, "NASA", "N A S A"),
        ("en", "cardinal", None, "1,234", "one thousand two hundred thirty-four"),
        ("en", "ordinal", None, "22", "twenty-second"),
        ("en", "ordinal", None, "11", "eleventh"),
        ("en", "ordinal", None, "3rd", "third"),
        ("en", "digits", None, "1234", "one two three four"),
        ("en", "telephone", None, "555-0199", "five five five, zero one nine nine"),
        ("en", "fraction", None, "2 1/2", "two and a half"),
        ("en", "unit", None, "12 kg", "twelve kilograms"),
        ("en", "date", "mdy", "9/1/2020", "September first, twenty twenty"),
        ("en", "date", "dmy", "9/1/2020", "January ninth, twenty twenty"),
        ("en", "date", "ymd", "1999-12-31", "December thirty-first, nineteen ninety-nine"),
        ("en", "date", None, "20251127", "November twenty-seventh, twenty twenty-five"),
        ("en", "date", "md", "5-4", "May fourth"),
        ("en", "date", "my", "5/2021", "May twenty twenty-one"),
        ("en", "date", "y", "1984", "nineteen eighty-four"),
        ("en", "time", None, "10:30", "ten thirty"),
        ("en", "currency", None, "USD 42.50", "forty-two dollars and fifty cents"),
        ("es", "date", "dm", "4/5", "cuatro de mayo"),
        ("es", "ordinal", None, "5", "quinto"),
        ("fr", "date", "dmy", "4/5/2025", "quatre mai deux mille vingt-cinq"),
        ("fr", "ordinal", None, "1", "premier"),
        ("it", "cardinal", None, "21", "ventuno"),
        ("pt", "date", "my", "3/2020", "março de dois mil e vinte"),
        ("ja", "date", "md", "5/4", "五月四日"),
        ("zh", "ordinal", None, "2", "第二"),
        ("zh", "date", "ymd", "2025/5/4", "二零二五年五月四日"),
    ],
)
def test_kind_is_read(language: str, kind: str, format: str | None, text: str, said: str) -> None:
    assert say_as(text, kind, format, language) == said


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    ("kind", "format", "text"),
    [("cardinal", None, "abc"), ("ordinal", None, "x"), ("digits", None, "none"),
     ("fraction", None, "1:2"), ("date", "dmy", "31/13/2020"), ("telephone", None, "call me")],
)  # fmt: skip
def test_text_of_another_kind_is_none(
    language: str, kind: str, format: str | None, text: str
) -> None:
    assert say_as(text, kind, format, language) is None
