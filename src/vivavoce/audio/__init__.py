"""Sample arithmetic, joining, speed and rate changes, streaming encoders, decoding of uploads.
Synchronous, without threads or state outside the objects returned; knows nothing of text, models or
HTTP.
"""

from vivavoce.audio.decode import decode_recording
from vivavoce.audio.encode import (
    MEDIA_TYPES,
    SAMPLE_RATES,
    Encoder,
    check_rate,
    nearest_rate,
    open_encoder,
)
from vivavoce.audio.flac import flac_with_length
from vivavoce.audio.join import Joiner, SegmentEdge
from vivavoce.audio.pcm import fade_in, fade_out, from_int16, silence, to_int16, to_pcm16
from vivavoce.audio.resample import Resampler
from vivavoce.audio.tempo import MAX_SPEED, MIN_SPEED, Tempo
from vivavoce.audio.wav import wav_bytes, wav_header

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
