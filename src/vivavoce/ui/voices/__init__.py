"""Draw the tab "Your voices" of the demo page."""

from vivavoce.ui.voices.new import RECORDINGS
from vivavoce.ui.voices.tab import draw_voices

__all__ = ["RECORDINGS", "draw_voices"]
