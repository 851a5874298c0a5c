"""Mandarin text → phonemes: words by rjieba, pinyin by pypinyin, sounds by table. Knows no digits.

The alphabet is the one Kokoro's Mandarin voices learnt: the tone is an arrow after the vowel (→ first, ↗ second,
↓ third, ↘ fourth, nothing for the neutral tone) and words are set apart by spaces.
"""

import re

import rjieba
from pypinyin import Style, lazy_pinyin

from vivavoce.engines.kokoro.g2p.alphabet import plain_marks, tidy

HAN = "\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"
_RUNS = re.compile(rf"[{HAN}]+|[^{HAN}]+")
_TONES = {"1": "→", "2": "↗", "3": "↓", "4": "↘", "5": ""}
_INITIALS = {
    "b": "p", "p": "pʰ", "m": "m", "f": "f", "d": "t", "t": "tʰ", "n": "n", "l": "l", "g": "k", "k": "kʰ", "h": "x",
    "j": "ʨ", "q": "ʨʰ", "x": "ɕ", "zh": "ꭧ", "ch": "ꭧʰ", "sh": "ʂ", "r": "ɻ", "z": "ʦ", "c": "ʦʰ", "s": "s", "": "",
}  # fmt: skip
_FINALS = {  # * is where the tone goes
    "a": "a*", "ai": "ai*", "an": "a*n", "ang": "a*ŋ", "ao": "au*", "e": "ɤ*", "ei": "ei*", "en": "ə*n", "eng": "ə*ŋ",
    "er": "ɚ*", "i": "i*", "ia": "ja*", "ian": "jɛ*n", "iang": "ja*ŋ", "iao": "jau*", "ie": "je*", "in": "i*n",
    "ing": "i*ŋ", "io": "jɔ*", "iong": "jʊ*ŋ", "iou": "jou*", "o": "wo*", "ong": "ʊ*ŋ", "ou": "ou*", "u": "u*",
    "ua": "wa*", "uai": "wai*", "uan": "wa*n", "uang": "wa*ŋ", "uei": "wei*", "uen": "wə*n", "ueng": "wə*ŋ",
    "uo": "wo*", "v": "y*", "van": "ɥɛ*n", "ve": "ɥe*", "vn": "y*n", "ê": "ɛ*", "m": "m*", "n": "n*", "ng": "ŋ*",
    "hm": "hm*", "hng": "hŋ*",
}  # fmt: skip
_BUZZED = frozenset(("zh", "ch", "sh", "r", "z", "c", "s"))  # after these, i is the vowel ɨ


def phonemize(text: str) -> str:
    """Phonemes of Mandarin `text`; whatever is not a Chinese character stays as it is."""
    runs = _RUNS.findall(plain_marks(text))
    return tidy(" ".join(_read(run) if re.match(f"[{HAN}]", run) else run for run in runs))


def _read(run: str) -> str:
    return " ".join(_word(word) for word in rjieba.cut(run))


def _word(word: str) -> str:
    """One word; pypinyin gets it as a string, for only then it looks for known phrases inside."""
    initials = lazy_pinyin(word, style=Style.INITIALS, strict=True)
    finals = lazy_pinyin(word, style=Style.FINALS_TONE3, strict=True, neutral_tone_with_five=True)
    return "".join(_syllable(initial, final) for initial, final in zip(initials, finals, strict=True))


def _syllable(initial: str, final: str) -> str:
    sound, tone = final.rstrip("12345"), final[len(final.rstrip("12345")) :]
    if sound == "i" and initial in _BUZZED:
        vowel = "ɨ*"
    elif sound == "o" and not initial:
        vowel = "ɔ*"
    else:
        vowel = _FINALS.get(sound, sound)
    return _INITIALS.get(initial, initial) + vowel.replace("*", _TONES.get(tone, ""))
