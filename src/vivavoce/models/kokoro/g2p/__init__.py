"""The Kokoro text front end: text in one of seven languages → phonemes. See `Phonemizer`."""

from vivavoce.models.kokoro.g2p.phonemizer import Phonemizer

__all__ = ["Phonemizer"]
