"""Tell which consonant links a French word to the vowel that follows it.

These are the liaisons of careful reading: after determiners, pronouns, short prepositions,
numerals, a few adjectives, *est*, *sont* and *ont*, and after verbs in -ons, -ez, -ont and -ent.
"""

from vivavoce.models.kokoro.g2p.romance.french_rules import VOWEL_LETTERS, is_plural_verb
from vivavoce.models.kokoro.g2p.romance.french_words import ASPIRATED_H, MUTE_H
from vivavoce.models.kokoro.g2p.romance.rules import word_set

# Words that link to whatever follows.
_ALWAYS = {
    word: sound
    for sound, words in {
        "z": """les des ces mes tes ses nos vos aux nous vous ils elles leurs quelques deux trois
                six dix quatre-vingts chez dans sans sous très plus quels
                quelles""",
        "n": "un on en mon ton son aucun",
        "t": """est sont ont quand quant tout cet vingt avait était étaient sept huit dont vont
                font""",
        "": "neuf",
    }.items()
    for word in words.split()
}
# Words that link to a noun or an adjective, but not to a verb or a preposition.
_BEFORE_NOUNS = {
    word: sound
    for sound, words in {
        "z": """petits petites grands grandes gros bons bonnes beaux belles nouveaux nouvelles
                premiers premières derniers dernières mauvais vieux autres mêmes certains certaines
                plusieurs nombreux nombreuses divers diverses différents différentes longs longues
                hauts hautes jeunes jolis jolies meilleurs meilleures anciens anciennes moins""",
        "n": "bien rien bon ancien certain prochain plein moyen",
        "t": "petit grand fait cent",
        "ʁ": "premier dernier",
        "p": "trop",
    }.items()
    for word in words.split()
}
_NOT_NOUNS = word_set(
    """
    a ai as ont est es était étaient avait avaient aura auront eut en y avec au aux il elle on ils
    elles
    """
)
_NEVER_AFTER = word_set("et ou où")
_BEFORE_A = word_set("est sont ont était étaient tout quant vont font")  # these link to *à*
_PAIRS = {
    ("comment", "allez"): "t", ("cent", "un"): None,
    **{("premier", month): None for month in ("août", "avril", "octobre")},
}  # fmt: skip
_BE = word_set("sommes êtes sont étions étiez étaient")


def liaison(before: str, word: str, after: str) -> str | None:
    """Return the consonant that links `word` to `after`, or None if they are not linked.

    "" is a link without a consonant of its own: *neuf heures*.
    """
    if (word, after) in _PAIRS:
        return _PAIRS[word, after]
    if not begins_with_vowel(after) or after in _NEVER_AFTER:
        return None
    if word in _ALWAYS and (after != "à" or word in _BEFORE_A):
        return _ALWAYS[word]
    if word in _BEFORE_NOUNS:
        return None if after == "à" or after in _NOT_NOUNS else _BEFORE_NOUNS[word]
    return _after_verb(before, word)


def _after_verb(before: str, word: str) -> str | None:
    """Return the linking consonant of a plural verb, or None for other words."""
    if before == "nous" and word.endswith(("ons", "mes")):
        return "z"
    if (before == "vous" and word.endswith("ez")) or (before in _BE and word.endswith("és")):
        return "z"
    return "t" if is_plural_verb(word) or word.endswith("ront") else None


def begins_with_vowel(word: str) -> bool:
    """True if other words link to `word`."""
    if word.startswith("y"):
        return word in ("y", "yeux")
    if word.startswith(ASPIRATED_H) and not word.startswith(MUTE_H):
        return False
    return word.lstrip("h")[:1] in VOWEL_LETTERS if word else False
