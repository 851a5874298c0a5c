"""What was heard is compared by how it sounds, as far as writing allows."""

import pytest
from benchmarks.error_rates import edits, readings, units


@pytest.mark.parametrize(
    ("language", "meant", "heard"),
    [
        (
            "en",
            "It starts at 8:30 pm on March 14th, 2025.",
            "it starts at 8.30 p.m. on March 14th 2025",
        ),
        ("en", "at 8:30 pm", "at 8.30pm"),
        ("en", "It opens at 9:15.", "It opens at 9.15"),
        ("es", "a las 20:30, 21 °C", "a las veinte y treinta, 21 grados Celsius"),
        ("fr", "1 250 mètres", "1250 mètres"),
        ("ja", "12km、45%", "12キロメートル45パーセント"),
    ],
)
def test_other_ways_to_write_the_same_are_no_errors(language: str, meant: str, heard: str) -> None:
    assert units(meant, language) == units(heard, language)


def test_japanese_homophones_differ_in_characters_and_not_in_readings() -> None:
    assert edits(units("橋", "ja"), units("端", "ja")) == 1
    assert readings("橋", "ja") == readings("端", "ja") == ["ハ", "シ"]


@pytest.mark.parametrize(
    ("language", "meant", "heard"),
    [
        ("fr", "Leurs enfants parlaient.", "leur enfant parlait"),
        ("fr", "davantage d'eau", "d'avantage d'eaux"),
        ("es", "¿Vaca o huevo?", "baca o uevo"),
        ("en", "their", "there"),
    ],
)
def test_words_that_sound_the_same_differ_in_writing_and_not_in_readings(
    language: str, meant: str, heard: str
) -> None:
    assert edits(units(meant, language), units(heard, language)) >= 1
    assert readings(meant, language) == readings(heard, language)


def test_words_that_sound_otherwise_differ_in_readings() -> None:
    assert edits(readings("le chat dort", "fr"), readings("le chien dort", "fr")) == 1
    assert readings("le 東京 dort", "fr")[1] == "東京"  # another script is never right


@pytest.mark.parametrize(
    ("meant", "heard", "errors"),
    [
        ("a b c", "a b c", 0),
        ("a b c", "a x c", 1),
        ("a b c", "a c", 1),
        ("a c", "a b c", 1),
        ("a b", "", 2),
    ],
)
def test_edits_are_counted_once_each(meant: str, heard: str, errors: int) -> None:
    assert edits(meant.split(), heard.split()) == errors
