"""Read the names of ElevenLabs' audio formats, such as `mp3_44100_128`.

The bit rates in them are ignored: each format has its own here.
"""

import re
from collections.abc import Mapping
from typing import Final

from vivavoce.audio import check_rate
from vivavoce.errors import BadRequest
from vivavoce.types import AudioFormat

_FORMAT: Final = re.compile(r"(mp3|pcm|wav|opus|ulaw|alaw)_(\d{4,5})(?:_\d{1,4})?")
_FORMATS: Final[Mapping[str, AudioFormat]] = {
    "mp3": "mp3", "pcm": "pcm", "wav": "wav", "opus": "opus", "ulaw": "ulaw", "alaw": "alaw",
}  # fmt: skip
# As ElevenLabs lists them. Other rates that a format has are taken too.
NAMES: Final = [
    "mp3_22050_32", "mp3_24000_48", "mp3_44100_32", "mp3_44100_64", "mp3_44100_96",
    "mp3_44100_128", "mp3_44100_192", "pcm_8000", "pcm_16000", "pcm_22050", "pcm_24000",
    "pcm_32000", "pcm_44100", "pcm_48000", "wav_8000", "wav_16000", "wav_22050", "wav_24000",
    "wav_32000", "wav_44100", "wav_48000", "ulaw_8000", "alaw_8000", "opus_48000_32",
    "opus_48000_64", "opus_48000_96", "opus_48000_128", "opus_48000_192",
]  # fmt: skip
DEFAULT: Final = "mp3_44100_128"


def parse_format(name: str) -> tuple[AudioFormat, int]:
    """Return the format and the sample rate in Hz, of the default for an empty name.

    Raises `BadRequest` for an unknown name.
    """
    found = _FORMAT.fullmatch(name.strip().lower() or DEFAULT)
    if found is None:
        raise BadRequest(
            f"output_format {name[:80]!r} is not known here: send mp3_44100_128, pcm_24000, "
            "wav_24000, opus_48000_64, ulaw_8000 or alaw_8000, or another rate",
            field="format",
        )
    format, rate_hz = _FORMATS[found[1]], int(found[2])
    check_rate(format, rate_hz)
    return format, rate_hz
