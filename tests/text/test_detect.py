"""The detector on short utterances, scripts and mixtures; the real model, no stand-in."""

import pytest

from vivavoce.text.language.detect import Detection, detect, scripts, speakable_share
from vivavoce.text.language.names import LANGUAGES

ALL = tuple(language.code for language in LANGUAGES)


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
    assert detect(text, ALL) == Detection(language, confident=True)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("What time is it?", "en"),
        ("Hello, Giulia Bianchi!", "en"),
        ("My name is 小明", "en"),
        ("We had dinner at La Trattoria with Giovanni and Francesca.", "en"),
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
    assert detect(text, ALL) == Detection(language, confident=True)


@pytest.mark.parametrize(
    "text", ["OK", "Amazon Prime", "Netflix", "", "42", "?!", "🎉", "ABBA", "uh", "Hotel.", "Pause"]
)
def test_doubtful_text_is_in_the_default_language_without_confidence(text: str) -> None:
    assert detect(text, ALL) == Detection("en", confident=False)
    assert detect(text, ALL, "fr") == Detection("fr", confident=False)


@pytest.mark.parametrize(
    "text",
    [
        "Las Vegas.", "Detroit.", "Version 2.0", "I met Jürgen Müller in Zürich.",
        "She read Les Misérables.", "Deutsche Bank", "Volkswagen Golf", "Kindergarten", "El Niño",
        "no problem", "Buenos Aires is warm.", "Bonjour means hello.", "espresso", "was in",
        "Le Monde", "WARNING: DISK FULL", "San Francisco", "Tortilla chips", "de facto",
        "a café in the Rue de Rivoli",
    ],
)  # fmt: skip
def test_names_and_loan_words_do_not_leave_the_default(text: str) -> None:
    assert detect(text, ALL).language == "en"


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Le chat dort.", "fr"), ("O gato dorme.", "pt"), ("Il gatto dorme.", "it"),
        ("El gato duerme.", "es"), ("Die Katze schläft.", "de"), ("Estoy cansado", "es"),
        ("Je suis fatigué", "fr"), ("Muito obrigado", "pt"), ("Grazie mille", "it"),
    ],
)  # fmt: skip
def test_short_sentences_of_function_words_do(text: str, language: str) -> None:
    assert detect(text, ALL).language == language


@pytest.mark.parametrize("text", ["Hello", "Hi Maria", "Thank you"])
def test_english_greetings_are_english(text: str) -> None:
    assert detect(text, ALL).language == "en"


def test_only_languages_of_the_detector_are_found() -> None:
    assert detect("Привет, как дела?", ["en", "de"]) == Detection("en", confident=False)
    assert detect("東京都", ["ja", "en"]) == Detection("ja", confident=True)
    assert detect("Guten Morgen", ["ja", "en"]) == Detection("en", confident=True)
    assert detect("OK", ["de", "fr"]) == Detection("de", confident=False)
    assert detect("Où est la gare ?", ["de", "fr"]) == Detection("fr", confident=True)
    assert detect("What time is it?", ["de", "fr"]) == Detection("de", confident=False)
    assert detect("Hello", ["zh"]) == Detection("zh", confident=False)


def test_no_languages_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        detect("Hello", [])


def test_long_text_is_judged_by_its_beginning_and_its_scripts() -> None:
    assert detect("Das Wetter ist heute schön. " * 4000, ALL).language == "de"
    assert detect("Title: " + "今天天气很好。" * 4000, ALL).language == "zh"


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
