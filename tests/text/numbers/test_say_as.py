"""`say-as` of SSML is said in each language's words."""

import pytest

from vivavoce.text.numbers.say_as import say_as
from vivavoce.text.numbers.verbalize import LANGUAGES

CASES = [
    ("es", "ABC-12", "characters", None, "a be ce guion uno dos"),
    ("es", "3", "ordinal", None, "tercero"),
    ("es", "3ª", "ordinal", None, "tercera"),
    ("es", "1234", "digits", None, "uno dos tres cuatro"),
    ("es", "1234", "cardinal", None, "mil doscientos treinta y cuatro"),
    ("es", "03/05/2024", "date", "mdy", "cinco de marzo de dos mil veinticuatro"),
    ("es", "5/3", "date", "dm", "cinco de marzo"),
    ("es", "15:30", "time", None, "quince y treinta"),
    ("es", "+34 912", "telephone", None, "más tres cuatro, nueve uno dos"),
    ("es", "12,50 €", "currency", None, "doce euros con cincuenta"),
    ("fr", "XIV", "cardinal", None, "quatorze"),
    ("fr", "1re", "ordinal", None, "première"),
    ("fr", "3/4", "fraction", None, "trois quarts"),
    ("fr", "06 12", "telephone", None, "zéro six, douze"),
    ("it", "10 km", "unit", None, "dieci chilometri"),
    ("it", "2024", "date", "y", "duemilaventiquattro"),
    ("pt", "2024-05-01", "date", None, "primeiro de maio de dois mil e vinte e quatro"),
    ("pt", "14", "time", None, "catorze horas"),
    ("ja", "AB1", "characters", None, "エービー一"),
    ("ja", "3", "ordinal", None, "第三"),
    ("ja", "2024/5/3", "date", "ymd", "二千二十四年五月三日"),
    ("ja", "090-12", "telephone", None, "ゼロ九ゼロ、一二"),
    ("zh", "05/2024", "date", "my", "二零二四年五月"),
    ("zh", "1/2", "fraction", None, "二分之一"),
    ("zh", "ab", "spell-out", None, "A B"),
]


@pytest.mark.parametrize(("language", "text", "kind", "order", "spoken"), CASES)
def test_text_is_said_as_asked(
    language: str, text: str, kind: str, order: str | None, spoken: str
) -> None:
    assert say_as(text, kind, order, language) == spoken


@pytest.mark.parametrize("language", ["es", "fr", "it", "pt", "ja", "zh"])
@pytest.mark.parametrize(
    ("text", "kind", "order"),
    [
        ("word", "cardinal", None),
        ("13/13/2024", "date", "dmy"),
        ("x", "date", "q"),
        ("x", "?", None),
        ("x²", "digits", None),
    ],
)
def test_text_of_another_kind_is_left_to_the_reader(
    language: str, text: str, kind: str, order: str | None
) -> None:
    assert say_as(text, kind, order, language) is None


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
     ("fraction", None, "half"), ("date", "dmy", "31/13/2020"), ("telephone", None, "call me")],
)  # fmt: skip
def test_text_of_another_kind_is_none(
    language: str, kind: str, format: str | None, text: str
) -> None:
    assert say_as(text, kind, format, language) is None
