"""Define the symbols that Kokoro reads, and reject text that needs others.

The set is the published vocabulary of Kokoro-82M v1.0:

- IPA,
- capitals for English diphthongs: `A` as in *day*, `I` as in *my*, `W` as in *now*, `Y` as in
  *boy*, `O` and `Q` as in *go*,
- four tone arrows for Chinese.

This module knows no language.
"""

import re

from vivavoce.errors import Unsupported

PUNCTUATION = frozenset(';:,.!?—…"()“” ')
SYMBOLS = PUNCTUATION | frozenset(
    "\u0303ʣʥʦʨᵝꭧAIOQSTWYᵊabcdefhijklmnopqrstuvwxyzɑɐɒæβɔɕçɖðʤəɚɛɜɟɡɥɨɪʝɯɰŋɳɲɴøɸθœɹɾɻʁɽʂʃʈʧʊʋʌɣɤχʎʒʔˈˌːʰʲ↓→↗↘ᵻ"
)

_MARKS = str.maketrans(
    {
        "、": ",", "，": ",", "。": ".", "．": ".", "！": "!", "？": "?", "：": ":", "；": ";",
        "・": " ", "·": " ", "（": "(", "）": ")", "「": "“", "」": "”", "『": "“", "』": "”",
        "《": "“", "》": "”", "〈": "“", "〉": "”", "【": "“", "】": "”", "«": "“", "»": "”",
        "‹": "“", "›": "”", "„": "“", "–": "—", "―": "—", "‒": "—", "～": "—", "〜": "—", "[": "(",
        "]": ")", "{": "(", "}": ")", "¿": "", "¡": "", "\u3000": " ", "\u00a0": " ",
    }
)  # fmt: skip
_SPACES = re.compile(r"\s+")
_SPACE_BEFORE_MARK = re.compile(r"(?<!\s)\s++([,.;:!?…)”])")


def plain_marks(text: str) -> str:
    """Return `text` with quotation marks, brackets, dashes and full-width marks in Kokoro's set."""
    return text.translate(_MARKS).replace("...", "…")


def tidy(phonemes: str) -> str:
    """Collapse spaces in `phonemes`, and remove those at the ends and before closing marks."""
    return _SPACE_BEFORE_MARK.sub(r"\1", _SPACES.sub(" ", phonemes)).strip()


def keep_known(phonemes: str, text: str) -> str:
    """Return `phonemes` without the marks that Kokoro cannot read.

    Raises `Unsupported` if a letter or digit would be lost.
    """
    unknown = sorted({c for c in phonemes if c not in SYMBOLS and c.isalnum()})
    if unknown:
        raise Unsupported(
            f"the text {_shortened(text)!r} holds {''.join(unknown)!r}, which this voice cannot "
            "read; write it in the voice's own script or choose another language",
            field="text",
        )
    return tidy("".join(c for c in phonemes if c in SYMBOLS))


def _shortened(text: str, limit: int = 60) -> str:
    return text if len(text) <= limit else text[:limit] + "…"
