"""Make the letters of other scripts speakable for readers of one language.

- A Greek letter alone is said by its name, as in mathematics. The names are in the tables.
- A foreign word is transliterated to Latin letters.
- Latin letters stay in every language: the front ends read them.
- The rest cannot be said. It is left out and returned.
"""

import re
import unicodedata
from functools import cache

from anyascii import anyascii

from vivavoce.text.language.names import scripts_read
from vivavoce.text.tables import table
from vivavoce.text.tracked import Tracked

_OWN = {
    "latin": "",
    "han": "\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff",
    "kana": "\u3041-\u30ff\u31f0-\u31ff\uff66-\uff9f",
    "hangul": "\u1100-\u11ff\u3131-\u318e\uac00-\ud7a3",
    "cyrillic": "\u0400-\u052f\u1c80-\u1c8a\ua640-\ua69d",
    "devanagari": "\u0900-\u097f",
}
_NUMBERS = "\u2070-\u209f\u2150-\u218f\u2460-\u24ff\u2776-\u2793\u3192-\u319f\u3220-\u33ff"
_LATIN = "\u0000-\u02ff\u1d00-\u1dbf\u1e00-\u1eff\u2c60-\u2c7f\ua722-\ua7ff\ufb00-\ufb06"


def speakable(text: Tracked, language: str) -> tuple[Tracked, list[str]]:
    """Return `text` in letters that readers of `language` (ISO 639-1) can say, and the rest."""
    if text.text.isascii():
        return text, []
    unsaid: list[str] = []

    def said(match: re.Match[str]) -> str:
        latin = _said(match[0], language)
        # Signs without a known sound have numbers: A1 for 𓀀.
        if not any(map(str.isalpha, latin)) or any(map(str.isdecimal, latin)):
            unsaid.append(match[0])
            return ""
        if language in ("ja", "zh"):
            return latin
        before, after = match.string[: match.start()][-1:], match.string[match.end() :][:1]
        return " " * before.isalnum() + latin + " " * after.isalnum()

    return text.sub(_foreign(language), said), unsaid


@cache
def _foreign(language: str) -> re.Pattern[str]:
    own = "".join(_OWN.get(script, "") for script in scripts_read(language))
    letter = rf"(?![{_LATIN}{own}{_NUMBERS}])[^\W\d_]"
    return re.compile(rf"{letter}(?:{letter}|[\u0300-\u036f])*+")


def _said(written: str, language: str) -> str:
    names = table(language)["greek"]
    plain = unicodedata.normalize("NFD", written.lower())[:1]
    return names[plain] if len(written) == 1 and plain in names else anyascii(written).strip()
