"""English text → phonemes by hibari's front end, whose alphabet is Kokoro's own.

Knows nothing of other scripts.
"""

import re
from dataclasses import dataclass
from typing import Protocol

from vivavoce.models.kokoro.g2p.alphabet import plain_marks, tidy
from vivavoce.text.numbers.english import break_runs

_LINK = re.compile(
    r"\]\s*\("
)  # hibari reads "[word](/sounds/)" as a command; a text must not be able to give one


class _Reader(Protocol):
    """What we use of `hibari.g2p.G2P`."""

    def __call__(self, text: str) -> str: ...


@dataclass(frozen=True, slots=True)
class EnglishFrontEnd:
    """hibari's lexicon, tagger and unknown-word network, loaded once (about 0.3 s); it keeps no state of a text."""

    reader: _Reader

    @classmethod
    def load(cls, *, british: bool = False) -> "EnglishFrontEnd":
        """American or British pronunciation."""
        from hibari.g2p import G2P

        return cls(G2P(british=british))

    def phonemize(self, text: str) -> str:
        """Phonemes of English `text`, with its punctuation."""
        return tidy(self.reader(break_runs(_LINK.sub("] (", plain_marks(text)))))
