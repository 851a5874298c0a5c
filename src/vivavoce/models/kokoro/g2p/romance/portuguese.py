"""Convert Brazilian Portuguese spelling to phonemes by rule.

- Numbers and abbreviations are already in words: `text.numbers.verbalize` comes first.
- Stress follows the orthography, which does not tell whether a stressed e or o is open or closed.
- Short word lists and the final vowel decide that: *novo* is closed, *nova* open.
- Unstressed final vowels are weak (æ, y, ʊ).
"""

import re
from collections.abc import Sequence

from vivavoce.models.kokoro.g2p.romance.rules import (
    LetterGroup,
    RuleTable,
    fold,
    read_phrases,
    stressed,
    word_set,
)

_LETTERS = "áàâãéêíóôõúüç"
_UNSTRESSED = word_set(
    """
    a o as os e ou de do da dos das em no na nos nas por com se me te lhe que um ao aos à às mas sem
    nós tem vai d l s
    """
)
_HALF_STRESSED = word_set(
    "uma umas uns você para pelo pela pelos pelas ele ela eles elas como sobre quando"
)

_RULES = RuleTable.parse(
    """
ch                                      ʃ
lh                                      lj
nh                                      ɲ
sh                                      ʃ
^r|rr|(?<=[nls])r                       x
(?<=[pbtdckgfv])r                       r
r(?=[^aeiouáàâãéêíóôõúh])               ɾə
r$                                      r
r                                       ɾ
sc(?=[eiéêí])|xc(?=[eiéêí])|sç          s
ss                                      s
(?<=[aeiouáàâãéêíóôõú])s(?=[aeiouáàâãéêíóôõúh])  z
s(?=[bdgjlmnrvz])                       z
s                                       s
(?<=pró)x|(?<=trou)x|(?<=má)x(?=im)     s
^x                                      ʃ
(?<=^e)x(?=[aeiouáàâãéêíóôõúh])         z
(?<=^ine)x(?=[aeiou])                   z
(?<=e)x(?=[cpqtf])                      s
(?<=tá)x|(?<=ple)x|(?<=^se)x(?=[ou])|(?<=fi)x(?=[aeo])|(?<=fle)x|(?<=ane)x|(?<=o)x(?=i[^m])|x$  ks
x                                       ʃ
ç|c(?=[eiéêí])                          s
ck                                      k
c                                       k
z$                                      s
z                                       z
gu(?=[eiéêí])                           ɡ
gu(?=[aoáâãóô])                         ɡw
gü                                      ɡw
g(?=[eiéêí])                            ʒ
g                                       ɡ
qu(?=[eiéêí])                           k
q[uü]                                   kw
q                                       k
j                                       ʒ
t(?=[iíy]|e$|es$)                       ʧ
d(?=[iíy]|e$|es$)                       ʤ
th                                      t
ph                                      f
h                                       -
w                                       w
y                                       i
ão(?=s?$)|am$                           ɐ̃ʊ̃
ãe(?=s?$)                               ɐ̃y
õe(?=s?$)                               õj
ão                                      ɐ̃ʊ̃
(?<=m)ui(?=t)                           wiŋ
[aáâã][nm](?=[pb])                      ɐ̃m
[eéê][nm](?=[pb])                       Am
[ií][nm](?=[pb])                        im
[oóô][nm](?=[pb])                       om
[uú][nm](?=[pb])                        um
[aáâã][nm](?=$|[^aeiouáàâãéêíóôõúhmnr]) ɐ̃ŋ
[eéê][nm](?=$|[^aeiouáàâãéêíóôõúhmn])   Aŋ
[ií][nm](?=$|[^aeiouáàâãéêíóôõúhmn])    iŋ
[oóô][nm](?=$|[^aeiouáàâãéêíóôõúhmn])   oŋ
[uú][nm](?=$|[^aeiouáàâãéêíóôõúhmn])    ũŋ
mm|nn                                   n
a(?=i(?:nh|[mrlz]$))                    a
u(?=i(?:nh|[mrlz]$))                    u
[aá]i                                   I
[eéê]i                                  A
[oóô]i                                  oɪ
[uú]i                                   uɪ
[aáâ]u                                  W
[eê]u                                   eʊ
éu                                      ɛʊ
[ií]u                                   iʊ
ou                                      ow
[aáâ]l(?=$|[^aeiouáàâãéêíóôõúh])        W
él(?=$|[^aeiouáàâãéêíóôõúh])            ɛʊ
[eê]l(?=$|[^aeiouáàâãéêíóôõúh])         eʊ
[ií]l(?=$|[^aeiouáàâãéêíóôõúh])         iʊ
[oóô]l(?=$|[^aeiouáàâãéêíóôõúh])        ɔʊ
[uú]l(?=$|[^aeiouáàâãéêíóôõúh])         uw
a(?=s?$)                                æ
e(?=s?$)                                y
o(?=s?$)                                ʊ
â                                       ɐ̃
a(?=nh|[mn][aeiouáâãéêíóôõú])          æ
ã                                       ɐ̃
õ                                       õ
[áà]                                    a
é                                       ɛ
ê                                       e
í                                       i
ó                                       ɔ
ô                                       o
[úü]                                    u
"""
)
_ACCENTED = re.compile(r"[áâãéêíóôõú]")
_OXYTONE = re.compile(r"(?:[iu]s?|[rlzxkdtpbcgf]|im|um|om|ins|uns|ons|ã|[^aeo]n)$")
_WEAK = {"æ": "a", "y": "e", "ʊ": "o"}

_CLOSED_E = re.compile(
    r"^(?:mesm?[ao]s?|mesas?|cabeças?|letras?|igrejas?|cervejas?|bandejas?|sedas?|ceras?|estrelas?|sextas?|terças?|paredes?"
    r"|redes?|verdes?|vermelh[ao]s?|el[ae]s?|est[e]s?|ess[e]s?|d?aquel[e]s?|pret[ao]s?|negr[ao]s?|receitas?|(?:est|v|s|d)eja[ms]?|cereja"
    r"|.+ez[ae]s?|.+es[ae]s?|.+ece[ms]?)$"
)
_OPEN_E = re.compile(
    r"^(?:ela|elas|velh[oa]s?|quer[oe]?m?|bel[oa]s?|.*[ei]rr[oa]s?|.*er[bcdfgjlmnpqstvz].*|séculos?|metros?|dez"
    r"|objetos?|projetos?|diretos?|corretos?|completos?|afetos?|testes?|zero|prédio|quieto|interno)$"
)
_CLOSED_O = re.compile(
    r"^(?:todas?|moç[ao]s?|hoje|bocas?|roupas?|pessoas?|boas?|coisas?|.+or|.+oras|nome|fome|onde|outras?|bolsas?|folhas?|rolhas?"
    r"|escolhas?|gotas?|sopas?|doces?|noites?|gord[ao]s?|cebolas?|lagoas?|coroas?|senhor(?:es)?|cor(?:es)?|flor(?:es)?|favor(?:es)?)$"
)
_OPEN_O = re.compile(
    r"^(?:poss[oa]|pode[ms]?|foto|fotos|moto|motos|nossos?|vossos?|copos?|.*olos?|modos?|melhor(?:es)?|maior(?:es)?|menor(?:es)?|pior(?:es)?"
    r"|agora|hora|toco|solos?|sós?|ovos|jogos|novos|olhos|corpos|portos|povos|fogos|ossos|postos?|próximo|norte|voto|votos|tópico|posse)$"
)


def phonemize(text: str) -> str:
    """Return the phonemes of Portuguese `text`, with its punctuation."""
    return read_phrases(text, _read)


def _read(words: Sequence[str]) -> str:
    folded = [part for word in words for part in re.split("[-']", fold(word, _LETTERS)) if part]
    return _link(" ".join(_word(word) for word in folded))


def _word(word: str) -> str:
    if word == "e":  # the conjunction is the one word whose weak e is a full i
        return "i"
    sounds = _glides(word, _RULES.sounds(word))
    if word in _UNSTRESSED:
        return stressed(sounds, None)
    if word.endswith("mente") and len(word) > 8:
        return re.sub("y$", "e", _word(word[:-5]).replace("ˌ", "").replace("ˈ", "ˌ")) + "mˈAŋʧy"
    index = _stress(word, sounds)
    if index is not None:
        sounds[index] = _full(word, sounds[index])
    spoken = stressed(sounds, index)
    return spoken.replace("ˌ", "").replace("ˈ", "ˌ") if word in _HALF_STRESSED else spoken


def _glides(word: str, sounds: Sequence[LetterGroup]) -> list[LetterGroup]:
    """Read final -ia, -io, -ua … as one syllable after a written accent.

    Examples are *história* and *água*.
    """
    if not re.match(r"[^áâéêíóôú]*+[áâéêíóôú].*[iu][aeo]s?$", word):
        return list(sounds)
    glide = len(word.rstrip("s")) - 2  # position of the letter before the last vowel
    return [
        LetterGroup(s.letters, {"i": "j", "u": "w"}[s.letters], s.start)
        if s.start == glide and s.letters in "iu"
        else s
        for s in sounds
    ]


def _stress(word: str, sounds: Sequence[LetterGroup]) -> int | None:
    """Return the index of the stressed vowel.

    This is the written accent. Without one it is the last syllable but one if the word ends in a,
    e, o, am, em or ens, and the last syllable otherwise.
    """
    nuclei = [i for i, sound in enumerate(sounds) if sound.vowel and sound.phonemes != "ɾə"]
    if not nuclei:
        return None
    accents = [i for i in nuclei if _ACCENTED.search(sounds[i].letters)]
    acute = [i for i in accents if re.search("[áâéêíóôú]", sounds[i].letters)]
    if accents:
        return (acute or accents)[-1]
    return nuclei[-1] if len(nuclei) == 1 or _OXYTONE.search(word) else nuclei[-2]


def _full(word: str, sound: LetterGroup) -> LetterGroup:
    """Return the vowel as it sounds under stress.

    Weak vowels become full. The vowels e and o become open or closed.
    """
    phonemes = _WEAK.get(sound.phonemes, sound.phonemes)
    if sound.phonemes == "æ" and sound.start < len(word.rstrip("s")) - 1:
        phonemes = "ɐ\u0303"  # before m, n, nh
    elif sound.letters == "el" and word.endswith("el"):
        phonemes = "ɛʊ"
    elif sound.letters == "e":
        phonemes = _quality(word, "ɛ", "e", _OPEN_E, _CLOSED_E)
    elif sound.letters == "o":
        phonemes = _quality(word, "ɔ", "o", _OPEN_O, _CLOSED_O)
    return LetterGroup(sound.letters, phonemes, sound.start)


def _quality(
    word: str, open_vowel: str, closed: str, is_open: re.Pattern[str], is_closed: re.Pattern[str]
) -> str:
    if is_open.match(word):
        return open_vowel
    if is_closed.match(word) or re.search(
        r"os?$|[eo][rz]$|[eo]u|[eo][nm]h?[aeo]s?$|[eo]as?$", word
    ):
        return closed
    return open_vowel


_VOWEL_NEXT = r"(?= [ˈˌ]?[aeiouɐɔɛAIOWyʊæ])"
_VOICED_NEXT = r"(?= [ˈˌ]?[aeiouɐɔɛAIOWyʊæbdɡvzʒmnɾlʤ])"


def _link(phonemes: str) -> str:
    """Adapt the last sound of each word to the first of the next.

    A final s is voiced before a voiced sound. Before a vowel, a final r is tapped, and final y and
    ʊ become glides.
    """
    phonemes = re.sub(rf"s{_VOICED_NEXT}", "z", phonemes)
    phonemes = re.sub(rf"(?<=[^ \u0303oW])y{_VOWEL_NEXT}", "j", phonemes)
    phonemes = re.sub(rf"r{_VOWEL_NEXT}", "ɾ", phonemes)
    return re.sub(rf"(?<=[^ \u0303aeiɛ])ʊ{_VOWEL_NEXT}", "w", phonemes)
