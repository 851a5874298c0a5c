"""French text → phonemes: words by rule, then the links between them. Knows no numbers: `text.numbers.verbalize` comes first.

The last syllable of a full word is stressed, little words are not. Of the liaisons only the obligatory ones are made:
after determiners, pronouns, short prepositions, numerals and a few adjectives, and after *est*, *sont* and *ont*.
"""

import re
from collections.abc import Sequence

from vivavoce.models.kokoro.g2p.romance.french_rules import (
    ASPIRATED_H,
    RULES,
    SILENT_MENT,
    SPOKEN_ENT,
    VOWEL_LETTERS,
    WORDS,
)
from vivavoce.models.kokoro.g2p.romance.rules import VOWELS, fold, read_phrases, word_set

_LETTERS = "àâäéèêëîïôöùûüÿœç"
_ELIDED = {
    "l": "l", "d": "d", "j": "ʒ", "m": "m", "t": "t", "s": "s", "c": "s", "n": "n", "qu": "k", "jusqu": "ʒysk",
    "lorsqu": "lɔʁsk", "puisqu": "pyisk", "quelqu": "kɛlk", "presqu": "pʁɛsk", "quoiqu": "kwak",
}  # fmt: skip
_UNSTRESSED = word_set(
    """
    le la les l de des du d un une à au aux en et ou où je tu il elle on nous vous ils elles me te se ne que qui
    ce cet cette ces mon ton son ma ta sa mes tes ses nos vos notre votre leur leurs y dans par pour sur sous
    sans avec chez mais si est sont ont a ai as es suis était dont quand très plus tout tous
    """
)
_LIAISON = {
    word: sound
    for sound, words in {
        "z": """les des ces mes tes ses nos vos aux nous vous ils elles leurs quelques plusieurs deux trois six dix
                chez dans sans sous très plus quels quelles certains certaines autres petits petites grands grandes
                gros bons bonnes beaux belles nouveaux nouvelles premiers mauvais vieux""",
        "n": "un on en mon ton son aucun bien rien bon",
        "t": "est sont ont quand tout cet petit grand vingt cent fait avait était étaient sept huit",
    }.items()
    for word in words.split()
} | {"premier": "ʁ", "dernier": "ʁ", "neuf": ""}
_DENASALISED = {"bon": "bɔn"}  # the liaison also opens the vowel
_NUMERALS = word_set(
    """
    deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze seize vingt trente quarante
    cinquante soixante cent cents mille
    """
)  # inside a number only the last one is stressed
_UNITS = word_set("un une deux trois quatre cinq six sept huit neuf")
_BEFORE_CONSONANT = {"six": "si", "dix": "di"}
_ALONE = {"six": "sis", "dix": "dis"}


def phonemize(text: str) -> str:
    """Phonemes of French `text`, with its punctuation."""
    return read_phrases(text, _read)


def _read(words: Sequence[str]) -> str:
    parts = [part for word in words for part in _parts(fold(word, _LETTERS))]
    around = zip(["", *parts[:-1]], parts, [*parts[1:], ""], strict=False)
    return " ".join(_linked(word, before, after) for before, word, after in around)


def _parts(word: str) -> list[str]:
    """A hyphened word as its parts; *-t-* (a-t-il) joins the part before it."""
    if word in WORDS:
        return [word]
    return [part for part in re.sub(r"-t-(?=ils?$|elles?$|on$)", "-t'", word).split("-") if part]


def _linked(word: str, before: str, after: str) -> str:
    """Return one word, as it sounds between the words `before` and `after` ("" at the ends of a phrase)."""
    *elided, host = word.split("'") if word not in WORDS else [word]
    head = "".join(_ELIDED.get(part, _sounds(part)) for part in elided if part)
    vowel_next = _begins_with_vowel(after) and (host, after) != ("cent", "un")
    inside_number = host in _NUMERALS and (after in _NUMERALS or after == "et")
    if numeral := _in_number(host, before, after):
        return numeral
    if host in _ALONE:
        spoken = _ALONE[host] if not after or after in ("et", "ou") else _BEFORE_CONSONANT[host]
    elif vowel_next and host in _DENASALISED:
        return head + _DENASALISED[host]
    else:
        spoken = _sounds(host) if host else ""
    if (not inside_number and host not in _UNSTRESSED) or (
        not after and host not in ("le", "la", "les")
    ):
        spoken = _stress(spoken)
    if (
        vowel_next
        and host in _LIAISON
        and after not in ("et", "ou", "à", "a", "y", "il", "elle")
        and host != "et"
    ):
        sound = _LIAISON[host]
        spoken = spoken if spoken.endswith(sound or "f") else spoken + sound
    return head + spoken


def _in_number(host: str, before: str, after: str) -> str:
    """*Dix* and *vingt* inside a number, where they sound otherwise than before other words; "" for all else."""
    if host == "dix" and after in ("huit", "neuf"):
        return "diz"
    if host != "vingt" or (after != "et" and after not in _UNITS):
        return ""
    return "vɛ̃" if before == "quatre" else "vɛ̃t"  # the t is heard from 21 to 29


def _begins_with_vowel(word: str) -> bool:
    return (
        bool(word)
        and word not in ASPIRATED_H
        and word.lstrip("h")[:1] in VOWEL_LETTERS
        and word[0] != "y"
    ) or word == "y"


def _sounds(word: str) -> str:
    if word in WORDS:
        return WORDS[word]
    if word.endswith(("ent", "ents")) and not _ends_in_spoken_ent(word):
        word = (
            word[:-3] + "s" if word.endswith("aient") else word[:-2]
        )  # parlent = parle, étaient = étais
    return "".join(sound.phonemes for sound in RULES.sounds(word))


def _ends_in_spoken_ent(word: str) -> bool:
    singular = word.removesuffix("s")
    if singular.endswith("ment"):
        return word not in SILENT_MENT
    return singular in SPOKEN_ENT or word.endswith("s") or bool(re.search(r"(?:v|t)ient$", word))


def _stress(phonemes: str) -> str:
    at = max((i for i, c in enumerate(phonemes) if c in VOWELS), default=None)
    return phonemes if at is None else phonemes[:at] + "ˈ" + phonemes[at:]
