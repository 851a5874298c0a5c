"""Let Home Assistant's own integration speak through a server of Wyoming.

Run it by a Python that has the package `homeassistant` and the packages of its components `tts`,
`conversation`, `assist_pipeline` and `ffmpeg`: `python home_assistant.py HOST PORT FOLDER`. It
prints a JSON object. `test_process.py` does so with the Python that HOME_ASSISTANT_PYTHON names.
"""

import asyncio
import io
import json
import sys
import time
import wave
from collections.abc import AsyncGenerator
from types import MappingProxyType

from homeassistant.components import tts
from homeassistant.components.wyoming.data import WyomingService
from homeassistant.components.wyoming.tts import WyomingTtsProvider
from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant

GAP_S = 9.0


async def words() -> AsyncGenerator[str]:
    for word in ("The lamp ", "is on. And", " the win", "dow is op", "en.", ""):
        yield word
    await asyncio.sleep(GAP_S)  # a language model that thinks, or calls a tool
    for word in (" Good", " ni", "ght."):
        yield word


async def main(host: str, port: int, folder: str) -> dict[str, object]:
    hass = HomeAssistant(folder)
    service = await WyomingService.create(host, port)
    assert service is not None
    entry = ConfigEntry(
        data={"host": host, "port": port}, discovery_keys=MappingProxyType({}), domain="wyoming",
        entry_id="entry", minor_version=1, options={}, source="user", subentries_data=None,
        title=service.get_name() or "", unique_id=None, version=1,
    )  # fmt: skip
    entity = WyomingTtsProvider(entry, service)
    entity.hass = hass
    voices = [voice.voice_id for voice in entity.async_get_supported_voices("en") or ()]

    async def whole(voice: str) -> float | None:
        options = {tts.ATTR_AUDIO_OUTPUT: "wav", tts.ATTR_VOICE: voice}
        _, data = await entity.async_get_tts_audio("Hello there.", "en", options)
        return None if data is None else seconds(data)

    async def streamed(voice: str) -> list[tuple[float, int]]:
        """Return when each part came, and its bytes."""
        options = {tts.ATTR_VOICE: voice}
        begun_s = time.monotonic()
        answer = await entity.async_stream_tts_audio(tts.TTSAudioRequest("en", options, words()))
        return [(time.monotonic() - begun_s, len(part)) async for part in answer.data_gen]

    report: dict[str, object] = {
        "name": service.get_name(),
        "platforms": [str(platform) for platform in service.platforms],
        "streams": entity.async_supports_streaming_input(),
        "languages": sorted(entity.supported_languages),
        "voices": voices,
        "whole_s": await whole("hum"),
        "unknown": await whole("nobody"),
        "parts": await streamed("sine"),
        "unknown_parts": await streamed("nobody"),
    }
    await hass.async_stop(force=True)
    return report


def seconds(wav: bytes) -> float:
    with wave.open(io.BytesIO(wav)) as file:
        return file.getnframes() / file.getframerate()


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3]))))
