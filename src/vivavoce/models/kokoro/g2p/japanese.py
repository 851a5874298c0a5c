"""Convert Japanese text to phonemes: readings by OpenJTalk (pyopenjtalk), sounds by table.

- The alphabet is the one that Kokoro's Japanese voices were trained with.
- `ː` is a long vowel, `ʔ` a doubled consonant. Spaces separate words.
- The moraic nasal is written as it sounds before the next sound.
- Foreign words are not read here.
"""

import re
from functools import cache

import pyopenjtalk

from vivavoce.models.kokoro.g2p.alphabet import plain_marks, tidy

_VOWELS = {"a": "a", "i": "i", "u": "ɯ", "e": "e", "o": "o"}
_ROWS = {  # kana row → the consonant before a, i, u, e, o
    "アイウエオ": ("", "", "", "", ""),
    "カキクケコ": ("k", "kʲ", "k", "k", "k"),
    "ガギグゲゴ": ("ɡ", "ɡʲ", "ɡ", "ɡ", "ɡ"),
    "サシスセソ": ("s", "ɕ", "s", "s", "s"),
    "ザジズゼゾ": ("ʣ", "ʥ", "z", "ʣ", "ʣ"),
    "タチツテト": ("t", "ʨ", "ʦ", "t", "t"),
    "ダヂヅデド": ("d", "ʥ", "z", "d", "d"),
    "ナニヌネノ": ("n", "ɲ", "n", "n", "n"),
    "ハヒフヘホ": ("h", "ç", "ɸ", "h", "h"),
    "バビブベボ": ("b", "bʲ", "b", "b", "b"),
    "パピプペポ": ("p", "pʲ", "p", "p", "p"),
    "マミムメモ": ("m", "mʲ", "m", "m", "m"),
    "ラリルレロ": ("ɾ", "ɾʲ", "ɾ", "ɾ", "ɾ"),
}
_CENTRAL = frozenset("スズツヅ")  # after s, z and ts the vowel u is ɨ
_GLIDES = {"ャ": "a", "ュ": "ɨ", "ョ": "o", "ェ": "e"}
_SMALL = {"ァ": "a", "ィ": "i", "ゥ": "ɯ", "ェ": "e", "ォ": "o"}
_SINGLE = {
    "ヤ": "ja", "ユ": "jɯ", "ヨ": "jo", "ワ": "βa", "ヮ": "βa", "ヰ": "i", "ヱ": "e", "ヲ": "o",
    "ヴ": "vɯ", "ー": "ː", "ッ": "ʔ", "ャ": "ja", "ュ": "jɯ", "ョ": "jo", "ヵ": "ka", "ヶ": "ke",
    "ァ": "a", "ィ": "i", "ゥ": "ɯ", "ェ": "e", "ォ": "o",
}  # fmt: skip
_FOREIGN = {  # morae of loanwords
    "ティ": "tʲi", "ディ": "dʲi", "テュ": "tʲɨ", "デュ": "dʲɨ", "トゥ": "tɯ", "ドゥ": "dɯ",
    "スィ": "si", "ズィ": "zi", "ウィ": "βi", "ウェ": "βe", "ウォ": "βo", "イェ": "je",
    "クヮ": "kᵝa", "グヮ": "ɡᵝa", "フュ": "ɸʲɨ",
}  # fmt: skip
_DEVOICED = str.maketrans("", "", "’'")  # OpenJTalk's mark for a whispered vowel
_NASAL = tuple(
    (re.compile(f"ɴ(?=[ʔ ]*+[{before}])"), nasal)
    for before, nasal in (("mpb", "m"), ("kɡ", "ŋ"), ("ɲʨʥ", "ɲ"), ("ntdɾzʣʦ", "n"))
)
_KATAKANA = str.maketrans({chr(code): chr(code + 0x60) for code in range(0x3041, 0x3097)})
_JOINED = frozenset(("接尾", "接続助詞", "非自立"))  # endings and counters join the word before
LETTERS = (
    "\u3005\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f"
)
_RUNS = re.compile(rf"[{LETTERS}]+|[^{LETTERS}]+")


def phonemize(text: str) -> str:
    """Return the phonemes of Japanese `text`. All but kana and kanji stays as it is."""
    runs = _RUNS.findall(plain_marks(text).replace("\u2018", "").replace("\u2019", "'"))
    return tidy(" ".join(_read(run) if re.match(f"[{LETTERS}]", run) else run for run in runs))


def _read(run: str) -> str:
    out = ""
    for node in pyopenjtalk.run_frontend(run):
        word = _word(node["pron"].translate(_DEVOICED), node["string"])
        joined = node["pos"] == "助動詞" or node["pos_group1"] in _JOINED
        out += word if joined or not out or not word else f" {word}"
    phonemes = out.replace(" ː", "ː")
    for before, nasal in _NASAL:
        phonemes = before.sub(nasal, phonemes)
    return phonemes


def _word(pron: str, written: str) -> str:
    """Return the sounds of one word from its katakana reading.

    Kana without a reading sound as written. Other characters are returned unchanged.
    """
    if not re.search("[ァ-ヺ]", pron):
        pron = plain_marks(written).strip("ー").translate(_KATAKANA)
    sounds = _sounds()
    out, at = [], 0
    while at < len(pron):
        size = 2 if pron[at : at + 2] in sounds else 1
        out.append(sounds.get(pron[at : at + size], pron[at]))
        at += size
    return "".join(out)


@cache
def _sounds() -> dict[str, str]:
    """Return the sounds of every mora, of one kana or two."""
    table = dict(_SINGLE) | {"ン": "ɴ"}
    small_vowels = [(small, vowel) for small, vowel in _SMALL.items() if small != "ゥ"]
    for row, consonants in _ROWS.items():
        for kana, consonant, vowel in zip(row, consonants, _VOWELS.values(), strict=True):
            table[kana] = consonant + ("ɨ" if kana in _CENTRAL else vowel)
        palatal, second, lips, plain = consonants[1], row[1], row[2], consonants[3]
        if row[0] != "ア":
            table |= {second + small: palatal + vowel for small, vowel in _GLIDES.items()}
            table |= {lips + small: consonants[2] + vowel for small, vowel in small_vowels}
            table |= {row[3] + "ィ": plain + "i", row[3] + "ュ": plain + "ʲɨ"}
            table[row[4] + "ゥ"] = plain + "ɯ"
    table |= _FOREIGN
    return table | {f"ヴ{small}": f"v{vowel}" for small, vowel in (*small_vowels, ("ュ", "ʲɨ"))}
