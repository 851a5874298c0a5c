"""Tell the shapes of the mouth, visemes, that a word passes through: of its sounds or its spelling.

Spelling is read roughly, in the manner of English, with other scripts written in Latin letters
first. It is meant for moving lips, and knows nothing of time.
"""

import re
from collections.abc import Mapping
from typing import Final, Literal, get_args

from anyascii import anyascii

Viseme = Literal[
    "sil", "PP", "FF", "TH", "DD", "kk", "CH", "SS", "nn", "RR", "aa", "E", "ih", "oh", "ou"
]
VISEMES: tuple[Viseme, ...] = get_args(Viseme)
VOWELS: frozenset[Viseme] = frozenset(("aa", "E", "ih", "oh", "ou"))

# Relative durations; a consonant is 1.
VOWEL: Final = 1.6
PAUSES: Final = {"none": 0.0, "short": 2.0, "long": 4.0}

_LETTERS: Final = (
    "a aa;b PP;c kk;d DD;e E;f FF;g kk;h;i ih;j CH;k kk;l nn;m PP;n nn;o oh;p PP;q kk;r RR;s SS;"
    "t DD;u ou;v FF;w ou;x kk SS;y ih;z SS;sh CH;ch CH;zh CH;ce SS E;ci SS ih;cy SS ih;ph FF;"
    "qu kk ou;ai aa ih;au aa ou"
)
_ENGLISH: Final = (
    "th TH;tch CH;ck kk;ng nn;wh ou;wr RR;kn nn;gh;igh aa ih;ee ih;ea ih;ie ih;oo ou;ou aa ou;"
    "ow oh ou;oa oh ou;ai E ih;ay E ih;au oh;aw oh;er RR;ir RR;ur RR;oy oh ih;oi oh ih;"
    "tion CH nn;sion CH nn;ge CH;dge CH"
)
_DIGITS: Final = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")

_LONG_PAUSE = re.compile(r"[.!?…。！？]")
_SHORT_PAUSE = re.compile(r"[,;:—–、，；：]")


def _table(*rules: str) -> Mapping[str, tuple[Viseme, ...]]:
    """Return the visemes by spelling. A later rule overrides an earlier one."""
    known: dict[str, Viseme] = {viseme: viseme for viseme in VISEMES}
    parts = (rule.split() for rule in ";".join(rules).split(";"))
    return {spelling: tuple(known[shape] for shape in shapes) for spelling, *shapes in parts}


# Sounds in IPA. Capitals are Kokoro's diphthongs and flaps.
_SOUNDS = {
    sound: shapes
    for sounds, shapes in _table(
        "pbmɸβ PP;fvɱʋ FF;θðç TH;tdɾʈɖɟT DD;kɡgcxɣqχ kk;ʃʒʧʤɕʑʂʐꭧʨ CH;szʦʣʥ SS;nlɲŋɳɴɫɭʎ nn;"
        "rɹɻʁʀɽɚɝɜ RR;aɑɐʌæä aa;eɛəɤᵊ E;iɪjɨᵻʝ ih;oɔɒøœS oh;uʊwɯyɥʉɰ ou;"
        "A E ih;I aa ih;W aa ou;Y oh ih;OQ oh ou"
    ).items()
    for sound in sounds
}
_AFFRICATE = re.compile("t͡?ʃ|d͡?ʒ")

_OTHERS = _table(_LETTERS)
_IN_ENGLISH = _table(_LETTERS, _ENGLISH)


def sounded(ipa: str) -> tuple[Viseme, ...]:
    """Return the visemes of sounds in IPA, none twice in a row. Other signs have none."""
    shapes: list[Viseme] = []
    for sound in _AFFRICATE.sub("ʃ", ipa):
        shapes += [shape for shape in _SOUNDS.get(sound, ()) if shape not in shapes[-1:]]
    return tuple(shapes)


def spelled(word: str, language: str) -> tuple[Viseme, ...]:
    """Return the visemes of one word, none twice in a row."""
    table = _IN_ENGLISH if language == "en" else _OTHERS
    letters = re.sub(r"\d", lambda digit: _DIGITS[int(digit[0])], anyascii(word)).lower()
    if language in ("en", "fr"):
        letters = re.sub(r"(?<=[aeiouy][^aeiouy])e$", "", letters)  # the silent one of "note"
    shapes: list[Viseme] = []
    at = 0
    while at < len(letters):
        size = next((size for size in (4, 3, 2, 1) if letters[at : at + size] in table), 0)
        shapes += [
            shape for shape in table.get(letters[at : at + size], ()) if shape not in shapes[-1:]
        ]
        at += size or 1
    return tuple(shapes)


def weight(viseme: Viseme) -> float:
    """Return the relative duration of a viseme."""
    return VOWEL if viseme in VOWELS else 1.0


def pause(between: str) -> Literal["none", "short", "long"]:
    """Return the pause that the punctuation between two words asks for."""
    if _LONG_PAUSE.search(between):
        return "long"
    return "short" if _SHORT_PAUSE.search(between) else "none"
