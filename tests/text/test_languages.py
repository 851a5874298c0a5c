"""The table of languages through its two functions."""

import pytest

from vivavoce.errors import BadRequest
from vivavoce.text.language.names import (
    LANGUAGES,
    Language,
    language_name,
    parse_language,
    scripts_read,
)


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("en", "en"),
        ("English", "en"),
        ("CHINESE", "zh"),
        ("en-US", "en"),
        ("zh_CN", "zh"),
        ("zh-Hant-TW", "zh"),
        ("pt-BR", "pt"),
        ("eng", "en"),
        ("zho", "zh"),
        ("cmn", "zh"),
        ("cmn-Hans-CN", "zh"),
        ("jpn", "ja"),
        ("ger", "de"),
        (" de ", "de"),
    ],
)
def test_names_codes_and_tags_are_understood(value: str, code: str) -> None:
    assert parse_language(value) == code


@pytest.mark.parametrize("value", ["auto", "Auto", " AUTO "])
def test_auto_names_no_language(value: str) -> None:
    assert parse_language(value) is None


@pytest.mark.parametrize("value", ["", "klingon", "xx", "en-", "en US", "english-us", "e", "de/AT"])
def test_unknown_language_is_refused_with_value_and_choices(value: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        parse_language(value)
    assert refusal.value.field == "language"
    assert repr(value) in refusal.value.message
    assert "german (de)" in refusal.value.message


@pytest.mark.parametrize("language", LANGUAGES, ids=lambda language: language.code)
def test_every_language_is_found_by_all_its_names(language: Language) -> None:
    for alias in (language.code, language.name, *language.iso639_3):
        assert parse_language(alias) == language.code
    assert language_name(language.code) == language.name
    assert "latin" in scripts_read(language.code)


def test_unlisted_code_is_its_own_name_and_reads_latin() -> None:
    assert language_name("nl") == "nl"
    assert scripts_read("nl") == ("latin",)
