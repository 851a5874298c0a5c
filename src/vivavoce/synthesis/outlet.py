"""Let speech out: encoded, and marked as synthetic.

Every exit of the server and the command line takes its encoder, its file header and its HTTP
header from here, and every whole file its manifest.
"""

import asyncio
import io
import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import BinaryIO, Final

import numpy as np

from vivavoce.audio import Encoder, Resampler, flac_with_length, open_encoder, wav_header
from vivavoce.errors import SigningFailed, Unsupported
from vivavoce.provenance import Mark, Provenance
from vivavoce.provenance.mark import HEADER, wav_info
from vivavoce.storage import Spool, SpoolLimit
from vivavoce.synthesis.speech import Speech
from vivavoce.types import AudioFormat, Samples

log = logging.getLogger(__name__)

_FLAC_START: Final = 42  # bytes, with the length


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


def check_stream(format: AudioFormat) -> None:
    """Raise `Unsupported` (`format`) if `format` is for whole files alone."""
    if format == "m4a":
        raise Unsupported(
            "format 'm4a' is for whole files, since its index is written last: choose 'aac', "
            "which has the same sound, or ask for the whole answer",
            field="format",
        )


def open_outlet(
    speech: Speech, format: AudioFormat, *, whole: bool = False, kept: bool = False
) -> Encoder:
    """Return the encoder of `speech`. `whole` says that nothing leaves before its end.

    `kept` is as for `open_encoder`.

    Raises as `open_encoder` does, and `Unsupported` (`format`) for a stream of m4a.
    """
    if not whole:
        check_stream(format)
    rate_hz, serial = speech.sample_rate_hz, speech.fingerprint
    return open_encoder(format, rate_hz, serial, _comment(speech), kept=kept)


async def encoded(
    speech: Speech, format: AudioFormat, *, whole: bool = False
) -> AsyncGenerator[bytes]:
    """Yield the encoded audio in chunks, of which the first holds more than a header."""
    encoder = open_outlet(speech, format, whole=whole)
    try:
        pending, has_audio = b"", False
        async with aclosing(speech.samples()) as samples:
            async for part in samples:
                has_audio = has_audio or part.size > 0
                pending += encoder.write(part)
                if has_audio and pending:
                    yield pending
                    pending = b""
        yield pending + encoder.finish()
    finally:
        encoder.close()
        await speech.aclose()


def open_file(
    marks: Sequence[Mark], format: AudioFormat, rate_hz: int
) -> tuple[Encoder, Callable[[bytes, int], bytes]]:
    """Return the encoder of a file that several speeches are in, without those marks if none.

    And what makes the beginning of the whole file, from its first 42 bytes or more, and from the
    number of its samples.
    """
    comments = dict.fromkeys(mark.comment for mark in marks)
    encoder = open_encoder(format, rate_hz, 0, "\n".join(comments), kept=True)
    return encoder, flac_with_length if format == "flac" else lambda first, _: first


async def whole_file(speech: Speech, format: AudioFormat, limit: SpoolLimit) -> Spool:
    """Return the file of all that `speech` says, to be read: of exact size, marked and signed.

    Raises `DiskFull` if it does not fit, `SigningFailed`, and what the model raises.
    """
    speech.streamed = False
    spool = Spool(limit)
    try:
        if format == "wav":
            await _fill_wav(spool, speech)
        else:
            async with aclosing(encoded(speech, format, whole=True)) as chunks:
                async for chunk in chunks:
                    spool.write(chunk)
        if format == "flac":
            spool.replace_start(
                lambda start: flac_with_length(start, speech.spoken_samples), _FLAC_START
            )
        spool.rewind()
        return await _signed(spool, speech, format, limit)
    except BaseException:
        await spool.aclose()
        raise


async def _fill_wav(spool: Spool, speech: Speech) -> None:
    start, end = wav_parts(speech.sample_rate_hz, 0, _comment(speech))
    spool.write(start)
    async with aclosing(encoded(speech, "pcm", whole=True)) as chunks:
        async for chunk in chunks:
            spool.write(chunk)
    data_bytes = spool.size - len(start)
    spool.write(end)
    exact = wav_parts(speech.sample_rate_hz, data_bytes, _comment(speech))[0]
    spool.replace_start(lambda _: exact, len(exact))


async def _signed(spool: Spool, speech: Speech, format: AudioFormat, limit: SpoolLimit) -> Spool:
    """Return the file with a manifest, or as it is. Closes the other one."""
    other, mark = Spool(limit), mark_of(speech)
    try:
        if await asyncio.to_thread(sign, speech.provenance, mark, format, spool.file, other.file):
            await spool.aclose()  # so that the limit counts one of them
            other.measure()
            spool, other = other, spool
        spool.rewind()
        return spool
    finally:
        await other.aclose()


def sign(
    provenance: Provenance,
    mark: Mark | None,
    format: AudioFormat,
    source: BinaryIO,
    target: BinaryIO,
) -> bool:
    """Copy a whole file to `target` with a manifest. False if it is to leave as it is.

    Raises `SigningFailed` where manifests are a must.
    """
    signer = provenance.signer
    if signer is None or mark is None or not signer.signs(format):
        return False
    try:
        signer.sign(source, target, format, mark)
    except SigningFailed as error:
        if signer.is_must:
            raise
        log.warning("a file leaves with its comment alone: %s", error.message)
        return False
    return True


def finished_file(
    speech: Speech, format: AudioFormat, data: bytes, *, signed: bool = True
) -> bytes:
    """Return the file of what was encoded as a stream, without a header for wav. Takes a while.

    Without `signed` its bytes are the same each time.
    """
    rate_hz, samples = speech.sample_rate_hz, speech.spoken_samples
    return _finished(speech, format, data, rate_hz, samples, signed=signed)


def excerpt_file(
    speech: Speech, samples: Samples, rate_hz: int, format: AudioFormat, to_rate_hz: int
) -> bytes:
    """Return a whole file of `samples`, a part of `speech`, marked and signed. Takes a while."""
    resampler = Resampler(rate_hz, to_rate_hz)
    samples = np.concatenate([resampler.write(samples), resampler.finish()])
    headless: AudioFormat = "pcm" if format == "wav" else format
    encoder = open_encoder(headless, to_rate_hz, speech.fingerprint, _comment(speech))
    try:
        data = encoder.write(samples) + encoder.finish()
    finally:
        encoder.close()
    return _finished(speech, format, data, to_rate_hz, samples.size, signed=True)


def _finished(
    speech: Speech, format: AudioFormat, data: bytes, rate_hz: int, samples: int, *, signed: bool
) -> bytes:
    if format == "wav":
        start, end = wav_parts(rate_hz, len(data), _comment(speech))
        data = start + data + end
    elif format == "flac":
        data = flac_with_length(data, samples)
    target = io.BytesIO()
    mark = mark_of(speech) if signed else None
    if sign(speech.provenance, mark, format, io.BytesIO(data), target):
        return target.getvalue()
    return data


def wav_parts(rate_hz: int, data_bytes: int, comment: str) -> tuple[bytes, bytes]:
    """Return what precedes and what follows the samples of a whole WAV file."""
    info = wav_info(comment)
    return wav_header(rate_hz, data_bytes, info), info


def _comment(speech: Speech) -> str:
    mark = mark_of(speech)
    return "" if mark is None else mark.comment
