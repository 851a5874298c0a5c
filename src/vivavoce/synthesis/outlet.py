"""Let speech out: encoded, and marked as synthetic.

Every exit of the server and the command line takes its encoder, its file header and its HTTP
header from here.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import BinaryIO

from vivavoce.audio import Encoder, flac_with_length, open_encoder, wav_header
from vivavoce.provenance import Mark, Provenance
from vivavoce.provenance.mark import HEADER, wav_info
from vivavoce.synthesis.speech import Speech
from vivavoce.types import AudioFormat

Sign = Callable[[BinaryIO, BinaryIO], None]  # the file, and the signed one


def mark_of(speech: Speech) -> Mark | None:
    """Return what marks `speech` as synthetic, or `None` if that is switched off."""
    return Mark(speech.model, speech.voice) if speech.provenance.marks else None


def mark_headers(speech: Speech) -> dict[str, str]:
    """Return the HTTP header that marks `speech`, or none."""
    mark = mark_of(speech)
    return {} if mark is None else {HEADER: mark.header}


def made_headers(provenance: Provenance, model: str) -> dict[str, str]:
    """Return the HTTP header that marks a file that was made earlier, or none."""
    return {HEADER: Mark(model, "").header} if provenance.marks else {}


def mark_field(speech: Speech) -> dict[str, str]:
    """Return the field of a message that marks `speech`, or none."""
    mark = mark_of(speech)
    return {} if mark is None else {"synthetic": mark.header}


def open_outlet(speech: Speech, format: AudioFormat) -> Encoder:
    """Return the encoder of `speech`. Raises as `open_encoder` does."""
    return open_encoder(format, speech.sample_rate_hz, speech.fingerprint, _comment(speech))


def open_file(
    marks: Sequence[Mark], format: AudioFormat, rate_hz: int
) -> tuple[Encoder, Callable[[bytes, int], bytes]]:
    """Return the encoder of a file that several speeches are in, without those marks if none.

    And what makes the beginning of the whole file, from its first 42 bytes or more, and from the
    number of its samples.
    """
    comments = dict.fromkeys(mark.comment for mark in marks)
    encoder = open_encoder(format, rate_hz, 0, "\n".join(comments))
    return encoder, flac_with_length if format == "flac" else lambda first, _: first


def file_end(speech: Speech, format: AudioFormat) -> bytes:
    """Return what follows the samples of a whole file: the comment of a WAV file."""
    return wav_info(_comment(speech)) if format == "wav" else b""


def file_start(speech: Speech, format: AudioFormat, first: bytes, size: int) -> bytes:
    """Return the beginning of a whole file, with its length if the format holds one.

    The file has `size` bytes, of which the encoder wrote `first` at its beginning: 42 or more of
    flac, none of wav. Those of wav are its samples and `file_end`.
    """
    if format == "wav":
        data_bytes = size - len(file_end(speech, format))
        return wav_parts(speech.sample_rate_hz, data_bytes, _comment(speech))[0] + first
    return flac_with_length(first, speech.spoken_samples) if format == "flac" else first


def wav_parts(rate_hz: int, data_bytes: int, comment: str) -> tuple[bytes, bytes]:
    """Return what precedes and what follows the samples of a whole WAV file."""
    info = wav_info(comment)
    return wav_header(rate_hz, data_bytes, info), info


def signing(speech: Speech, format: AudioFormat) -> Sign | None:
    """Return what copies a whole file and signs the copy, or `None` if nothing is to be signed."""
    signer, mark = speech.provenance.signer, mark_of(speech)
    if signer is None or mark is None or not signer.signs(format):
        return None
    return partial(signer.sign, format=format, mark=mark)


def _comment(speech: Speech) -> str:
    mark = mark_of(speech)
    return "" if mark is None else mark.comment
