"""Tell which of the tokens of `hama` may be heard for a sound in IPA.

The network writes sounds as its training data did: narrowly for some languages, broadly for others.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

# The tokens of a sound, the best first.
_HEARD: Final = {
    "a": "a ɑ æ ä ɐ", "æ": "æ a ɛ", "ɐ": "ɐ a ə ʌ", "ɑ": "ɑ ɔ ɒ a ä", "ɒ": "ɒ ɑ ɔ",
    "ʌ": "ʌ o ɔ ə ɑ", "ə": "ə ɪ ɝ i ʌ ɐ ɛ a", "ɜ": "ɝ ɜ ɚ ə", "e": "e ɛ eɪ i", "ɛ": "ɛ e æ eə",
    "ɪ": "ɪ i ə e", "i": "i ɪ e", "ɨ": "ɨ i ɯ", "o": "o oʊ ɔ u", "ɔ": "ɔ o ɑ ɒ oʊ", "ɤ": "ɤ ə ʌ",
    "u": "u oʊ ʊ ɯ w ʉ", "ʊ": "ʊ u o ɯ", "ɯ": "ɯ u ʊ ɨ", "y": "y u i ʏ ju", "ø": "ø œ ə",
    "œ": "œ ø ə", "aɪ": "aɪ a ɑ", "aʊ": "aʊ a ɑ", "eɪ": "eɪ e ɛ", "ɔɪ": "ɔɪ ɔ o", "oʊ": "oʊ o ɔ u",
    "əʊ": "oʊ o ə", "b": "b p β v", "β": "β b v", "d": "d t ð", "ð": "ð θ d", "f": "f v",
    "ɡ": "g ɡ ɣ k", "ɣ": "ɣ g ɡ", "h": "h x ħ", "x": "x h k χ", "ç": "ç h ʃ x", "ɸ": "ɸ f h",
    "j": "j i ju ja je jo ʝ", "ɥ": "ɥ y w j", "k": "k kʰ g k͈", "l": "l ɫ", "ʎ": "ʎ l j", "m": "m n",
    "n": "n ŋ m ɲ", "ŋ": "ŋ n", "ɲ": "ɲ n ŋ j", "ɴ": "ɴ ŋ n", "p": "p pʰ b p͈", "r": "r ɾ ɹ",
    "ɹ": "ɹ ɝ ɚ r ɾ", "ɾ": "ɾ t d ɹ r", "ʁ": "ʁ ɣ x χ ɹ r h ʀ", "ɻ": "ɻ ɹ ʐ", "s": "s z",
    "z": "z s", "ʃ": "ʃ s ʂ ɕ", "ʂ": "ʂ ʃ s", "ɕ": "ɕ ʃ s", "ʒ": "ʒ z ʃ d͡ʒ", "ʑ": "ʑ ʒ z",
    "t": "t d t͈ tʰ", "θ": "θ ð s f", "v": "v f β", "w": "w u oʊ ʋ", "ts": "t s t͡ɕ", "dz": "d z",
    "tʃ": "t͡ʃ t͡ɕ ʃ", "dʒ": "d͡ʒ ʒ t͡ɕ", "tɕ": "t͡ɕ t͡ʃ t͡ɕʰ", "dʑ": "t͡ɕ d͡ʒ ʑ",
    "tʂ": "ʈ ʂ t͡ʃ t͡ɕ",
}  # fmt: skip
_LENGTHS = str.maketrans("", "", "ːʰʲᵝ")
_NASAL = "\u0303"
_NEAR: Final = 0.3  # weight of the others, so that the best wins where both are heard


def likelihood(
    heard: NDArray[np.float32], sounds: Sequence[str], tokens: Sequence[str]
) -> NDArray[np.float32]:
    """Return the probability that each of `sounds` begins in each frame: [frames, sounds].

    `heard` is that of each of `tokens`: [frames, tokens].
    """
    index = {token: at for at, token in enumerate(tokens)}
    columns: dict[str, NDArray[np.float32]] = {}
    for sound in set(sounds):
        column = np.zeros(len(heard), np.float32)
        for number, token in enumerate(_tokens(sound, index)):
            weight = np.float32(_NEAR if number else 1.0)
            np.maximum(column, weight * heard[:, index[token]], out=column)
        columns[sound] = column
    return np.stack([columns[sound] for sound in sounds], axis=1)


def _tokens(sound: str, known: Mapping[str, int]) -> list[str]:
    plain = sound.translate(_LENGTHS)
    nasal = [unicodedata.normalize("NFC", plain)] if _NASAL in plain else []
    plain = plain.replace(_NASAL, "")
    heard = _HEARD.get(plain, plain).split()
    return [token for token in (*heard, *nasal) if token in known]
