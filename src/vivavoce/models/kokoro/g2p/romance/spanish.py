"""Spanish spelling → phonemes (Castilian), by rule. Knows no numbers or abbreviations:
`text.numbers.verbalize` comes first.

Spanish spelling is phonemic; the rules follow the Real Academia's description of it (Ortografía,
2010). After a vowel b, d and g are the fricatives β, ð, ɣ, also across words.
"""

import re
from collections.abc import Sequence

from vivavoce.models.kokoro.g2p.romance.rules import (
    RuleTable,
    Sound,
    fold,
    read_phrases,
    stressed,
    word_set,
)

_LETTERS = "áéíóúüñ"
_UNSTRESSED = word_set(
    "el la los las lo de del en a al y e o u que se me te le les nos os mi mis tu su sus con por si ni"
)
_HALF_STRESSED = word_set("para pero como cuando cuanto donde sobre entre desde aunque porque")

_RULES = RuleTable.parse(
    """
ch                          ʧ
ll                          ʎ
rr                          r
^r                          r
(?<=[lns])r                 r
r                           ɾ
qu(?=[eiéí])                k
q                           k
gü(?=[eiéí])                ɡw
gu(?=[eiéí])                ɡ
g(?=[eiéí])                 x
g                           ɡ
cc(?=[eiéí])                kθ
sc(?=[eiéí])                sθ
c(?=[eiéí])                 θ
c                           k
z                           θ
ñ                           ɲ
j                           x
^ps                         s
sh                          ʃ
^h(?=ie)                    -
^h(?=ue)                    -
h                           -
^x                          s
x(?=$|[aeiouáéíóú])         ks
x                           ks
^y$                         i
^ll?y                       ʝ
y$                          i
y(?![aeiouáéíóú])           i
y                           ʝ
n(?=[bvpf])                 m
n(?=[gj]|x[aeiou])          ŋ
mm                          nm
w                           w
v                           b
ai                          I
ei                          A
oi                          oɪ
au                          W
eu                          eʊ
ou                          oʊ
ái                          I
éi                          A
ói                          oɪ
áu                          W
éu                          eʊ
ay$                         I
ey$                         A
oy$                         oɪ
uy$                         uj
i(?=[aeoáéóuú])             j
[uü](?=[aeoáéóií])          w
á                           a
é                           e
í                           i
ó                           o
[úü]                        u
"""
)
_SOFT = {"b": "β", "d": "ð", "ɡ": "ɣ"}
_SOFT_AFTER = frozenset("aeiouɪʊjwɾrsθAIWlβðɣ")  # but d stays hard after l
_ACCENTED = re.compile(r"[áéíóú]")


def phonemize(text: str) -> str:
    """Phonemes of Spanish `text`, with its punctuation."""
    return read_phrases(text, _read)


def _read(words: Sequence[str]) -> str:
    folded = [
        part for word in words for part in fold(word, _LETTERS).replace("'", "").split("-") if part
    ]
    return _soften(" ".join(_word(word) for word in folded))


def _word(word: str) -> str:
    if word.endswith("mente") and len(word) > 7:  # adverbs keep the stress of their adjective
        return _word(word[:-5]).replace("ˈ", "ˌ") + "mˈɛnte"
    sounds = _RULES.sounds(word)
    if word in _UNSTRESSED:
        return stressed(sounds, None)
    spoken = stressed(sounds, _stress(word, sounds))
    return spoken.replace("ˈ", "ˌ") if word in _HALF_STRESSED else spoken


def _stress(word: str, sounds: Sequence[Sound]) -> int | None:
    """Return the written accent, else the last syllable but one after a vowel, n or s, else the last."""
    nuclei = [i for i, sound in enumerate(sounds) if sound.vowel]
    if not nuclei:
        return None
    for i in nuclei:
        if _ACCENTED.search(sounds[i].letters):
            return i
    penultimate = re.search(r"(?:[aeiou]|[aeiou][ns]|[^aeiou]y)$", word) and len(nuclei) > 1
    return nuclei[-2] if penultimate else nuclei[-1]


def _soften(phonemes: str) -> str:
    out: list[str] = []
    last = ""
    for char, following in zip(phonemes, phonemes[1:] + " ", strict=False):
        hard = char == "d" and (last == "l" or following in ("", " "))
        out.append(_SOFT[char] if char in _SOFT and last in _SOFT_AFTER and not hard else char)
        if char not in " ˈˌ":
            last = out[-1]
    return "".join(out)
