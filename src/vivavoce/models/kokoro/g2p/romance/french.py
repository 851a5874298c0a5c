"""Read French text as phonemes: words by rule, with the links between them.

- Numbers are already in words: `text.verbalize` comes first.
- The last syllable of a full word is stressed, and the last syllable before a mark.
- Little words are not stressed inside a phrase. Conjunctions are half stressed.
"""

import re
from collections.abc import Sequence

from vivavoce.models.kokoro.g2p.romance.french_liaison import liaison
from vivavoce.models.kokoro.g2p.romance.french_rules import read_word
from vivavoce.models.kokoro.g2p.romance.french_words import WORDS
from vivavoce.models.kokoro.g2p.romance.rules import VOWELS, fold, read_phrases, word_set

_LETTERS = "àâäéèêëîïôöùûüÿœç"
_ELIDED = {
    "l": "l", "d": "d", "j": "ʒ", "m": "m", "t": "t", "s": "s", "c": "s", "n": "n", "z": "z",
    "qu": "k", "jusqu": "ʒysk", "lorsqu": "lɔʁsk", "puisqu": "pyisk", "quelqu": "kɛlk",
    "presqu": "pʁɛsk", "quoiqu": "kwak",
}  # fmt: skip
_UNSTRESSED = word_set(
    """
    le la les l de des du d un une à au aux en où je tu il elle on nous vous ils elles me te
    se ne que qui ce cet cette ces mon ton son ma ta sa mes tes ses nos vos notre votre leur leurs
    y dans par pour sur sous sans avec chez est a ai es dont quand très plus tout tous toute
    toutes pas quel quelle quels quelles comme peu trop vers contre entre autre chaque faut
    """
)
_HALF_STRESSED = word_set("et ou mais ni car")  # what they join is heard apart
_OPENED = {  # where the liaison also opens the vowel
    "bon": "bɔn", "ancien": "ɑ̃sjɛn", "certain": "sɛʁtɛn", "prochain": "pʁɔʃɛn", "plein": "plɛn",
    "moyen": "mwajɛn", "premier": "pʁəmjɛ", "dernier": "dɛʁnjɛ",
}  # fmt: skip
_NUMERALS = word_set(
    """
    deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze seize vingt
    trente quarante cinquante soixante cent cents mille
    """
)
_UNITS = word_set("un une deux trois quatre cinq six sept huit neuf")
_LAST_AFTER_ET = word_set("un une onze")  # vingt et un, soixante et onze
_BEFORE_CONSONANT = {"six": "si", "dix": "di"}
_ALONE = {"six": "sis", "dix": "dis"}
_TOUS_BEFORE = word_set("les ces mes tes ses nos vos leurs ceux deux trois quatre cinq six")


def phonemize(text: str) -> str:
    """Return the phonemes of French `text`, with its punctuation."""
    return read_phrases(text, _read)


def _read(words: Sequence[str]) -> str:
    parts = [part for word in words for part in _parts(fold(word, _LETTERS))]
    around = zip(["", "", *parts], ["", *parts], parts, [*parts[1:], ""], strict=False)
    return " ".join(
        _read_between(numeral if before == "et" and numeral in _NUMERALS else before, word, after)
        for numeral, before, word, after in around
    )  # vingt et un is one number


def _parts(word: str) -> list[str]:
    """Split a word at its hyphens.

    A consonant that links to a pronoun joins the pronoun: *a-t-il* and *peut-on* have a t, *vas-y*
    and *prends-en* a z.
    """
    if word in WORDS:
        return [word]
    word = re.sub(r"(?:-t-|(?<=[td])-)(?=(?:ils?|elles?|on)$)", "-t'", word)
    word = re.sub(r"(?<=[szx])-(?=(?:y|en)$)", "-z'", word)
    return [part for part in word.split("-") if part]


def _read_between(before: str, word: str, after: str) -> str:
    """Return `word` as it sounds between its neighbours ("" at the ends of a phrase)."""
    *elided, host = [word] if word in WORDS else word.split("'")
    head = "".join(_ELIDED.get(part, read_word(part)) for part in elided if part)
    if numeral := _inside_number(before, host, after):
        return head + numeral
    link = liaison(before, host, after)
    spoken = _sounds(before, host, after, linked=link is not None)
    ends_number = host in ("un", "une") and before in _NUMERALS and link is None
    spoken = _mark_last_vowel(spoken, "ˈ") if ends_number else _stress(spoken, host, after)
    if not link or (spoken.endswith(link) and not host.endswith("tent")):
        return head + spoken
    return head + spoken + link  # habitent une: a t of the verb and a t of the link


def _inside_number(before: str, host: str, after: str) -> str:
    """Return *dix*, *vingt* and *et* as they sound inside a number, or "" for all else."""
    if host == "et" and before in _NUMERALS and after in _LAST_AFTER_ET:
        return "e"
    if host == "dix" and after in ("huit", "neuf"):
        return "diz"
    if host != "vingt" or (after != "et" and after not in _UNITS):
        return ""
    return "vɛ̃" if before == "quatre" else "vɛ̃t"  # the t is heard from 21 to 29


def _sounds(before: str, host: str, after: str, *, linked: bool) -> str:
    """Return the sounds of `host`, which depend on its neighbours for a few words."""
    if host in _ALONE:
        return _ALONE[host] if not after or after in ("et", "ou") else _BEFORE_CONSONANT[host]
    if linked and host in _OPENED:
        return _OPENED[host]
    if host == "neuf" and after in ("ans", "heures", "hommes"):
        return "nœv"
    if host == "tous" and after not in _TOUS_BEFORE:
        return "tus"  # the pronoun
    if host == "plus" and not after and before in ("en", "de"):
        return "plys"
    if host == "sens" and before in ("je", "tu", "me", "te"):
        return "sɑ̃"  # the verb
    return read_word(host) if host else ""


def _stress(phonemes: str, host: str, after: str) -> str:
    """Return the sounds of `host` with the mark of its stress, if it has one."""
    if not after and host not in ("le", "la", "les"):
        return _mark_last_vowel(phonemes, "ˈ")
    if host in _UNSTRESSED or phonemes == _OPENED.get(host):
        return phonemes
    return _mark_last_vowel(phonemes, "ˌ" if host in _HALF_STRESSED else "ˈ")


def _mark_last_vowel(phonemes: str, mark: str) -> str:
    vowels = [i for i, c in enumerate(phonemes) if c in VOWELS]
    if len(vowels) > 1 and phonemes.endswith("ə"):
        vowels.pop()
    at = vowels[-1] if vowels else None
    return phonemes if at is None else phonemes[:at] + mark + phonemes[at:]
