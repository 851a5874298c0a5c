"""Write letters and sounds so that hibari's front end says them, and load it without its reader.

- Letters are joined by points, as in "A.M": with a space "A" would be the article.
- Sounds such as "shh", which would be spelled, get phonemes. They are in the English table.
- Texts come in words, so the package's own rules for abbreviations ("Gen Z") are not asked.
"""

import re
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from vivavoce.text.tables import table

Read: TypeAlias = tuple[str, str]  # a piece of a text and its phonemes, with a space behind it

_SOUNDS: Final = table("en")["sounds"]
_LETTERS = re.compile(r"(?<![\w.'-])[A-Z](?: [A-Z])++(?=['\s.,;:!?…)\]\"”—–]|\Z)")
_LETTER_A = re.compile(r"(?<=[a-z] )A(?= [a-z]|[.,;:!?…)\]\"”]|\Z)")
_SOUND = re.compile(
    rf"(?<![\w'-])(?:{'|'.join(map(re.escape, sorted(_SOUNDS, key=len, reverse=True)))})(?![\w'-])",
    re.IGNORECASE,
)


def load_reader(*, british: bool = False) -> Callable[[str], Sequence[Read]]:
    """Return hibari's reader of texts that are in words.

    It takes a sentence, and returns it in pieces. All phonemes together are those of the sentence,
    but for spaces at its end.
    """
    from hibari.g2p import G2P

    g2p = G2P(british=british)

    def read(text: str) -> Sequence[Read]:
        tokens = g2p.phonemize_tokens(g2p.tokenize(text))
        return [(one.text, (one.phonemes or "") + " " * bool(one.whitespace)) for one in tokens]

    return read


def sayable(text: str) -> str:
    """Return `text` with its letters and sounds as the front end takes them."""
    text = _LETTERS.sub(lambda m: m[0].replace(" ", "."), text.replace("’", "'"))
    text = _LETTER_A.sub("[A](/ˈA/)", text)
    return _SOUND.sub(lambda m: f"[{m[0]}](/{_SOUNDS[m[0].lower()]}/)", text)
