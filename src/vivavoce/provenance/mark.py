"""Word the mark of synthetic speech, without a word of what is said."""

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from vivavoce.names import to_header
from vivavoce.types import AudioFormat

if TYPE_CHECKING:  # needs an extra
    from vivavoce.provenance.manifest import Signer

MARK: Final = "vivavoce; synthetic speech"
HEADER: Final = "X-Synthetic"


@dataclass(frozen=True, slots=True)
class Mark:
    """The model and the voice that made the speech."""

    model: str
    voice: str

    @property
    def comment(self) -> str:
        """The comment of a file."""
        return f"{MARK}; model={self.model}; voice={self.voice}"

    @property
    def header(self) -> str:
        """The value of the header `X-Synthetic`."""
        return f"vivavoce; model={to_header(self.model)}"


@dataclass(frozen=True, slots=True)
class Provenance:
    """How speech is marked: with comments and headers, and by `signer` in whole files too."""

    marks: bool = True
    signer: "Signer | None" = None

    def signs(self, format: AudioFormat) -> bool:
        """True if a whole file of `format` gets a manifest."""
        return self.signer is not None and self.signer.signs(format)


def wav_info(comment: str) -> bytes:
    """Return a RIFF chunk with `comment` in UTF-8, or nothing for an empty one.

    It is a `LIST` of type `INFO` with an `ICMT` (Multimedia Programming Interface and Data
    Specifications 1.0, 1991, chapter 2), at even sizes.
    """
    if not comment:
        return b""
    text = comment.encode("utf-8", "replace") + b"\0"
    padded = text + b"\0" * (len(text) % 2)
    return struct.pack("<4sI4s4sI", b"LIST", 12 + len(padded), b"INFO", b"ICMT", len(text)) + padded
