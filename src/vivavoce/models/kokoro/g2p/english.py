"""Convert English text to phonemes with hibari's front end, which uses Kokoro's alphabet.

This module knows nothing of other scripts.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from vivavoce.models.kokoro.g2p.alphabet import plain_marks, tidy
from vivavoce.models.kokoro.g2p.hibari_words import Read, load_reader
from vivavoce.models.kokoro.g2p.ipa import with_commands
from vivavoce.models.kokoro.g2p.runs import break_runs


@dataclass(frozen=True, slots=True)
class EnglishFrontEnd:
    """hibari's lexicon, tagger and unknown-word network.

    Loading takes about 0.3 s. Nothing of a text is kept.
    """

    reader: Callable[[str], Sequence[Read]]

    @classmethod
    def load(cls, *, british: bool = False) -> "EnglishFrontEnd":
        """Load American or British pronunciation."""
        return cls(load_reader(british=british))

    def phonemize(self, text: str, sounds: Sequence[str] = ()) -> str:
        """Return the phonemes of English `text`, with its punctuation.

        Each `ipa.SOUNDS` in it stands for the next of `sounds`, which are phonemes.
        """
        read = self.reader(with_commands(break_runs(plain_marks(text)), sounds))
        return tidy("".join(phonemes for _, phonemes in read))
