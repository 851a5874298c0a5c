"""Process audio: join, change speed and rate, validate, encode, decode.

Synchronous, without threads. Only the objects returned hold state. Knows no text, model or HTTP.
"""

from vivavoce.audio.containers import flac_with_length, wav_bytes, wav_header
from vivavoce.audio.decode import comment_in, decode_recording
from vivavoce.audio.encode import (
    MEDIA_TYPES,
    SAMPLE_RATES,
    Encoder,
    check_rate,
    nearest_rate,
    open_encoder,
)
from vivavoce.audio.join import Joiner, SegmentEdge
from vivavoce.audio.pcm import fade_in, fade_out, from_int16, silence, to_int16, to_pcm16
from vivavoce.audio.resample import Resampler
from vivavoce.audio.tempo import MAX_SPEED, MIN_SPEED, Tempo

__all__ = [
    "MAX_SPEED",
    "MEDIA_TYPES",
    "MIN_SPEED",
    "SAMPLE_RATES",
    "Encoder",
    "Joiner",
    "Resampler",
    "SegmentEdge",
    "Tempo",
    "check_rate",
    "comment_in",
    "decode_recording",
    "fade_in",
    "fade_out",
    "flac_with_length",
    "from_int16",
    "nearest_rate",
    "open_encoder",
    "silence",
    "to_int16",
    "to_pcm16",
    "wav_bytes",
    "wav_header",
]
