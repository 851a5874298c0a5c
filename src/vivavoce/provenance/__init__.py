"""Say in a file and in an answer that the speech is synthetic, and read what a file says.

It is metadata, and no watermark: whoever encodes the audio again loses it.
"""

from vivavoce.provenance.mark import Mark, Provenance

__all__ = ["Mark", "Provenance"]
