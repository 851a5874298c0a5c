"""`say-as` of SSML is said in each language's words."""

import pytest

from vivavoce.text.numbers.verbalize import say_as

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
    ],
)
def test_text_of_another_kind_is_left_to_the_reader(
    language: str, text: str, kind: str, order: str | None
) -> None:
    assert say_as(text, kind, order, language) is None
