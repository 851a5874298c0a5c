"""Convert Italian spelling to phonemes by rule.

- Numbers and abbreviations are already in words: `text.numbers.verbalize` comes first.
- Italian writes the stress only on a final vowel. `italian_stress` knows it for other words.
- By default the stress is on the last syllable but one.
- Double consonants are long (`tː`).
"""

from collections.abc import Sequence

from vivavoce.models.kokoro.g2p.romance.italian_stress import accented
from vivavoce.models.kokoro.g2p.romance.rules import (
    LetterGroup,
    RuleTable,
    fold,
    read_phrases,
    stressed,
    word_set,
)

_LETTERS = "àèéìíîòóùú"
_UNSTRESSED = word_set(
    """
    il lo la i gli le di a da in con per tra fra e ed o od che se si mi ti ci vi ne del dello dei
    degli al allo ai agli dal dai nel nei sul sui col un è ha ho hai non l d c s m t v
    """
)
_HALF_STRESSED = word_set(
    """
    della delle dell alla alle all dalla dalle dall nella nelle nell sulla sulle sull una uno sue
    loro sono hanno anche come perché dove quando
    """
)
_LONG_VOWEL = word_set("mio mia tuo tua suo sua")  # else heard as two words, *mi amadre*

_RULES = RuleTable.parse(
    """
cch(?=[eièéìí])                     kː
ch                                  k
cci(?=[aeouàèéòóùú])                ʧː
cc(?=[eièéìí])                      ʧː
cc                                  kː
ci(?=[aeouàèéòóùú])                 ʧ
sci(?=[aeouàèéòóùú])                ʃ
sc(?=[eièéìí])                      ʃ
c(?=[eièéìí])                       ʧ
cq                                  kː
c                                   k
ggh(?=[eièéìí])                     ɡː
gh                                  ɡ
ggi(?=[aeouàèéòóùú])                ʤː
gg(?=[eièéìí])                      ʤː
gg                                  ɡː
(?<=[aeiouàèéìòóù])gli(?=[aeouàèéòóù])  ʎʎ
gli(?=[aeouàèéòóùú])                ʎ
(?<=[aeiouàèéìòóù])gl(?=i|ì)           ʎʎ
^gli$                               ʎi
gn                                  ɲɲ
gi(?=[aeouàèéòóùú])                 ʤ
g(?=[eièéìí])                       ʤ
g                                   ɡ
qu                                  kw
q                                   k
(?<=^me)zz|(?<=^a)zz(?=urr)|(?<=[^p][iì])zz(?=[aeoàèò])  ʣː
zz                                  ʦː
^z(?=i?[aeouàèéòóù]|ì)                    ʣ
z                                   ʦ
ss                                  S
(?<=(?:ent|ant|mil|ill)[aioe])s(?=[eéè](?:i$|ic|tt|di|ss))  s
(?<=[aeiouàèéìíòóùú])s(?=[aeiouàèéìíòóùú])   z
s(?=[bdglmnrv])                     z
s                                   s
bb                                  bː
dd                                  dː
ff                                  ff
ll                                  ll
mm                                  mm
nn                                  nn
pp                                  pː
rr                                  rɾ
tt                                  tː
vv                                  vv
kk                                  kː
n(?=g(?![eièéìíhn])|gh)             ŋ
j                                   j
x                                   ks
y                                   i
w                                   w
h                                   -
à                                   a
[è]                                 ɛ
é                                   e
[ìíî]                               i
ò                                   ɔ
ó                                   o
[ùú]                                u
i(?=[aeouàèéòóùú])                  j
u(?=[aeoàèéòó])                     w
(?<=[qg])u(?=[iì])                  w
"""
)


def phonemize(text: str) -> str:
    """Return the phonemes of Italian `text`, with its punctuation."""
    return read_phrases(text, _read)


def _read(words: Sequence[str]) -> str:
    parts = [part for word in words for part in fold(word, _LETTERS).split("-") if part]
    return " ".join(_with_elided(part) for part in parts)


def _with_elided(word: str) -> str:
    """Read *all'aeroporto* as one word, whose part before the apostrophe is unstressed."""
    *elided, host = word.split("'")
    head = "".join(
        "ʧ" if piece == "c" else stressed(_RULES.sounds(piece), None)  # c'è, c'era
        for piece in elided
    )
    return head + _word(host) if host else head


def _word(word: str) -> str:
    if word in _UNSTRESSED:
        return _lax_end(stressed(_RULES.sounds(word), None))
    sounds = _RULES.sounds(accented(word))
    spoken = stressed(sounds, _stress(sounds))
    if word in _LONG_VOWEL:
        return f"{spoken[:-1]}ː{spoken[-1]}"
    spoken = _lax_end(spoken)
    return spoken.replace("ˈ", "ˌ") if word in _HALF_STRESSED else spoken


def _lax_end(spoken: str) -> str:
    """Return `spoken` with ɪ for an unstressed *i* at its end, which is better understood."""
    return spoken[:-1] + "ɪ" if spoken.endswith("i") and not spoken.endswith("ˈi") else spoken


def _stress(sounds: Sequence[LetterGroup]) -> int | None:
    """Return the index of the accented vowel, else of the last vowel but one."""
    nuclei = [i for i, sound in enumerate(sounds) if sound.vowel]
    if not nuclei:
        return None
    default = nuclei[max(-2, -len(nuclei))]
    if "".join(sound.letters for sound in sounds[default - 1 : default + 1]) in ("au", "eu"):
        default -= 1  # causa
    return next((i for i in nuclei if sounds[i].letters in _LETTERS), default)
