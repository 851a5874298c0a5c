"""Check what lips do for a word as it is spelled, and for its sounds."""

import pytest

from vivavoce.models.kokoro.g2p.alphabet import SYMBOLS
from vivavoce.text.visemes import VISEMES, pause, sounded, spelled


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


@pytest.mark.parametrize(
    ("ipa", "shapes"),
    [
        ("p", "PP"), ("ˈæ", "aa"), ("tʃ", "CH"), ("ʤ", "CH"), ("aɪ", "aa ih"), ("I", "aa ih"),
        ("iː", "ih"), ("h", ""), ("ʔ", ""), ("mɑm", "PP aa PP"), ("nl", "nn"), ("↗", ""),
    ],
)  # fmt: skip
def test_sound_has_its_shapes(ipa: str, shapes: str) -> None:
    assert " ".join(sounded(ipa)) == shapes


def test_every_vowel_and_consonant_of_kokoro_has_a_shape() -> None:
    silent = {sound for sound in SYMBOLS if sound.isalpha() and not sounded(sound)}
    assert silent == set("hʔˈˌːʰʲᵝ")


@pytest.mark.parametrize(
    ("between", "length"), [(" ", "none"), (", ", "short"), ("! ", "long"), ("…", "long")]
)
def test_punctuation_asks_for_a_pause(between: str, length: str) -> None:
    assert pause(between) == length
