"""The symbols Kokoro can read, and the check that nothing else gets past us. Knows no language.

The set is the published vocabulary of Kokoro-82M v1.0: IPA, a few capitals for English diphthongs
(`A` as in
*day*, `I` as in *my*, `W` as in *now*, `Y` as in *boy*, `O` and `Q` as in *go*), four tone arrows for Chinese.
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
    """Return `text` with every quotation mark, bracket, dash and full-width mark as its nearest mark in Kokoro's set."""
    return text.translate(_MARKS).replace("...", "…")


def tidy(phonemes: str) -> str:
    """Return `phonemes` with single spaces, none before a closing mark and none at the ends."""
    return _SPACE_BEFORE_MARK.sub(r"\1", _SPACES.sub(" ", phonemes)).strip()


def only_known(phonemes: str, text: str) -> str:
    """Return `phonemes` without marks Kokoro cannot read; raises `Unsupported` if a letter or digit would be lost."""
    unknown = sorted({c for c in phonemes if c not in SYMBOLS and c.isalnum()})
    if unknown:
        raise Unsupported(
            f"the text {_shortened(text)!r} holds {''.join(unknown)!r}, which this voice cannot read; "
            "write it in the voice's own script or choose another language",
            field="text",
        )
    return tidy("".join(c for c in phonemes if c in SYMBOLS))


def _shortened(text: str, limit: int = 60) -> str:
    return text if len(text) <= limit else text[:limit] + "…"
