"""Find when each word of a text is said in its audio."""

from vivavoce.synthesis.alignment.aligner import Aligner

__all__ = ["Aligner"]
