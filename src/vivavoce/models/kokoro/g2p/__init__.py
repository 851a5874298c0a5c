"""Convert text in seven languages to the phonemes that Kokoro reads."""

from vivavoce.models.kokoro.g2p.phonemizer import Phonemizer

__all__ = ["Phonemizer"]
