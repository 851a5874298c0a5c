"""The detector on short utterances, scripts and mixtures; the real model, no stand-in."""

import pytest

from vivavoce.text.detect import Detection, Detector, scripts, speakable_share
from vivavoce.text.languages import LANGUAGES

ALL = tuple(language.code for language in LANGUAGES)
DETECTOR = Detector(ALL)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("こんにちは", "ja"),
        ("東京都知事選挙のお知らせ", "ja"),
        ("カメラ", "ja"),
        ("今天天气很好", "zh"),
        ("优の良品是一个很有名的零食品牌", "zh"),
        ("用Python编程很有趣", "zh"),
        ("请打开 Bluetooth", "zh"),
        ("안녕하세요, John", "ko"),
        ("Привет, как дела?", "ru"),
        ("नमस्ते, आप कैसे हैं?", "hi"),
    ],
)
def test_script_tells_the_language(text: str, language: str) -> None:
    assert DETECTOR.detect(text) == Detection(language, confident=True)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("What time is it?", "en"),
        ("Hello, Giulia Bianchi!", "en"),
        ("My name is 小明", "en"),
        ("We had dinner at La Trattoria with Giovanni and Francesca.", "en"),
        ("WARNING: DISK FULL", "en"),
        ("Guten Morgen", "de"),
        ("Hallo", "de"),
        ("Die Waschmaschine ist fertig.", "de"),
        ("Vielen Dank für Ihre Bestellung bei Amazon Prime.", "de"),
        ("Bonjour", "fr"),
        ("À demain", "fr"),
        ("J'arrive dans cinq minutes.", "fr"),
        ("¿Qué hora es?", "es"),
        ("Hola, John", "es"),
        ("Quedamos con John Smith en el Starbucks.", "es"),
        ("Ciao", "it"),
        ("Dov'è la stazione?", "it"),
        ("Ci vediamo con John Smith allo Starbucks.", "it"),
        ("Olá", "pt"),
        ("Bom dia", "pt"),
        ("Vamos encontrar o John Smith no Starbucks.", "pt"),
    ],
)
def test_words_tell_latin_languages_apart(text: str, language: str) -> None:
    assert DETECTOR.detect(text) == Detection(language, confident=True)


@pytest.mark.parametrize(
    "text", ["OK", "Amazon Prime", "Netflix", "No", "", "42", "?!", "🎉", "ABBA"]
)
def test_doubtful_text_is_english_without_confidence(text: str) -> None:
    assert DETECTOR.detect(text) == Detection("en", confident=False)


@pytest.mark.parametrize("text", ["Hello", "Hi Maria", "Thank you"])
def test_english_greetings_are_english(text: str) -> None:
    assert DETECTOR.detect(text).language == "en"


def test_only_languages_of_the_detector_are_found() -> None:
    assert Detector(["en", "de"]).detect("Привет, как дела?") == Detection("en", confident=False)
    assert Detector(["ja", "en"]).detect("東京都") == Detection("ja", confident=True)
    assert Detector(["ja", "en"]).detect("Guten Morgen") == Detection("en", confident=True)
    assert Detector(["de", "fr"]).detect("OK") == Detection("de", confident=False)
    assert Detector(["de", "fr"]).detect("Où est la gare ?") == Detection("fr", confident=True)
    assert Detector(["de", "fr"]).detect("What time is it?") == Detection("de", confident=False)
    assert Detector(["zh"]).detect("Hello") == Detection("zh", confident=False)


def test_detector_without_languages_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Detector([])


def test_long_text_is_judged_by_its_beginning_and_its_scripts() -> None:
    assert DETECTOR.detect("Das Wetter ist heute schön. " * 4000).language == "de"
    assert DETECTOR.detect("Title: " + "今天天气很好。" * 4000).language == "zh"


def test_letters_are_counted_by_script() -> None:
    counts = scripts("Añ 1! 東あアー 한 Жж नमस्ते Ωα")
    named = {"latin": 2, "han": 1, "kana": 3, "hangul": 1, "cyrillic": 2, "devanagari": 4}
    assert counts == {**named, "other": 2}


@pytest.mark.parametrize(
    ("text", "language", "share"),
    [
        ("Hello, world", "en", 1.0),
        ("123 …", "en", 1.0),
        ("今天", "en", 0.0),
        ("今天 ok", "en", 0.5),
        ("今天 ok", "zh", 1.0),
        ("今日はok", "ja", 1.0),
        ("今日はね", "zh", 0.5),
        ("안녕", "ja", 0.0),
        ("Привет", "ru", 1.0),
        ("Ωα", "de", 0.0),
    ],
)
def test_share_of_letters_that_a_language_reads(text: str, language: str, share: float) -> None:
    assert speakable_share(text, language) == share
