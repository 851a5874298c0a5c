"""What lips do for a word as it is spelled."""

import pytest

from vivavoce.text.visemes import VISEMES, spelled, words


@pytest.mark.parametrize(
    ("word", "language", "shapes"),
    [
        ("the", "en", "TH E"),
        ("Shop", "en", "CH oh PP"),
        ("moon", "en", "PP ou nn"),
        ("note", "en", "nn oh DD"),
        ("three", "en", "TH RR ih"),
        ("kitten", "en", "kk ih DD E nn"),
        ("photo", "de", "FF oh DD oh"),
        ("7", "en", "SS E FF E nn"),
        ("你好", "zh", "nn ih aa oh"),
        ("ありがとう", "ja", "aa RR ih kk aa DD oh ou"),
        ("Привет", "ru", "PP RR ih FF E DD"),
    ],
)
def test_word_has_the_shapes_of_its_spelling(word: str, language: str, shapes: str) -> None:
    assert " ".join(spelled(word, language)) == shapes


def test_there_are_fifteen_shapes() -> None:
    assert len(set(VISEMES)) == 15


def test_words_are_those_of_the_text_with_the_pauses_of_its_punctuation() -> None:
    found = words("Don't stop, please! It's half-done…", "en")
    assert [(word.text, word.pause) for word in found] == [
        ("Don't", "none"),
        ("stop", "short"),
        ("please", "long"),
        ("It's", "none"),
        ("half-done", "long"),
    ]


def test_script_without_spaces_gives_a_word_for_each_character() -> None:
    assert [word.text for word in words("你好，世界。", "zh")] == ["你", "好", "世", "界"]


@pytest.mark.parametrize("text", ["", "…", "— !", "🎈"])
def test_what_has_no_letters_has_no_words(text: str) -> None:
    assert words(text, "en") == []
