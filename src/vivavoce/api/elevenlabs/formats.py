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


def parse_format(name: str) -> tuple[AudioFormat, int]:
    """Return the format and the sample rate in Hz. Raises `BadRequest` for an unknown name."""
    found = _FORMAT.fullmatch(name.strip().lower())
    if found is None:
        raise BadRequest(
            f"output_format {name[:80]!r} is not known here: send mp3_44100_128, pcm_24000, "
            "wav_24000, opus_48000_64, ulaw_8000 or alaw_8000, or another rate",
            field="format",
        )
    format, rate_hz = _FORMATS[found[1]], int(found[2])
    check_rate(format, rate_hz)
    return format, rate_hz
