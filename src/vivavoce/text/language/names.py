"""List the languages by code, name and script. Codes are ISO 639-1.

Knows no models. Scripts matter because a voice reads only the letters of its language: an English
voice given Han characters is silent or wrong.
"""

import re
from dataclasses import dataclass
from typing import Literal

from vivavoce.errors import BadRequest

Script = Literal["latin", "han", "kana", "hangul", "cyrillic", "devanagari", "other"]


@dataclass(frozen=True, slots=True)
class Language:
    """One language, its names in requests, and the scripts of its readers, its own first."""

    code: str  # ISO 639-1
    name: str  # English, lower case
    iso639_3: tuple[str, ...]
    scripts: tuple[Script, ...]


LANGUAGES = (
    Language("zh", "chinese", ("zho", "cmn", "chi"), ("han", "latin")),
    Language("en", "english", ("eng",), ("latin",)),
    Language("de", "german", ("deu", "ger"), ("latin",)),
    Language("it", "italian", ("ita",), ("latin",)),
    Language("pt", "portuguese", ("por",), ("latin",)),
    Language("es", "spanish", ("spa",), ("latin",)),
    Language("ja", "japanese", ("jpn",), ("kana", "han", "latin")),
    Language("ko", "korean", ("kor",), ("hangul", "han", "latin")),
    Language("fr", "french", ("fra", "fre"), ("latin",)),
    Language("ru", "russian", ("rus",), ("cyrillic", "latin")),
    Language("hi", "hindi", ("hin",), ("devanagari", "latin")),
)

_BY_CODE = {language.code: language for language in LANGUAGES}
_BY_ALIAS = {
    alias: each.code for each in LANGUAGES for alias in (each.code, each.name, *each.iso639_3)
}
_TAG = re.compile(r"([a-z]{2,3})(?:[-_][a-z0-9]{1,8})*")


def parse_language(value: str) -> str | None:
    """Return the ISO 639-1 code that `value` names, or `None` for "auto".

    Takes, in any case, English names ("German"), ISO 639-1 and 639-3 codes ("de", "deu") and
    regional tags ("de-AT", "zh_Hans_CN"). Raises `BadRequest` (field `language`) for anything else.
    """
    wanted = value.strip().lower()
    if wanted == "auto":
        return None
    tag = _TAG.fullmatch(wanted)
    code = _BY_ALIAS.get(wanted) or (_BY_ALIAS.get(tag[1]) if tag else None)
    if code is None:
        choices = ", ".join(f"{language.name} ({language.code})" for language in LANGUAGES)
        raise BadRequest(
            f"Unknown language {value!r}; choose auto or one of: {choices}.", field="language"
        )
    return code


def language_name(code: str) -> str:
    """Return the English name, lower case, of an ISO 639-1 code: "en" is "english".

    An unlisted code is its own name.
    """
    language = _BY_CODE.get(code)
    return language.name if language else code


def scripts_read(code: str) -> tuple[Script, ...]:
    """Return the scripts of the language's readers, its own first.

    An unlisted code reads Latin.
    """
    language = _BY_CODE.get(code)
    return language.scripts if language else ("latin",)
