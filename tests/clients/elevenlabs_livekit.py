"""Let LiveKit's plugin for ElevenLabs speak. The argument is the server's URL."""

import asyncio
import sys
import time

import aiohttp
from livekit.agents import tts as agents
from livekit.plugins import elevenlabs

TEXT = "The lamp is on the table. It costs 25 dollars, and nobody wants it."
LONG = "".join(f"This is sentence number {n} of a long story. " for n in range(12))


async def spoken(stream: agents.SynthesizeStream | agents.ChunkedStream) -> tuple[float, str]:
    """Return the seconds of audio, and the words with times."""
    seconds, words, last_s = 0.0, "", 0.0
    async for event in stream:
        seconds += event.frame.duration
        for word in event.frame.userdata.get("lk.timed_transcripts", ()):
            assert word.start_time >= last_s - 0.01
            last_s = word.start_time
            words += word
    assert last_s <= seconds
    return seconds, words


async def check(name: str, voice: elevenlabs.TTS) -> None:
    began = time.monotonic()
    stream = voice.stream()
    for word in TEXT.split(" "):
        stream.push_text(f"{word} ")
    stream.end_input()
    seconds, words = await asyncio.wait_for(spoken(stream), 30)
    print(f"{name}: {seconds:.1f} s in {time.monotonic() - began:.2f} s: {words!r}")
    assert 4 < seconds < 12

    stream = voice.stream()
    stream.push_text(LONG)
    stream.flush()
    await asyncio.wait_for(anext(stream), 20)
    await stream.aclose()
    began = time.monotonic()
    stream = voice.stream()
    stream.push_text("Yes, of course.")
    stream.end_input()
    await asyncio.wait_for(anext(stream), 20)
    again_s = time.monotonic() - began
    rest, _ = await asyncio.wait_for(spoken(stream), 20)
    print(f"{name}: after an interruption {again_s:.2f} s to a short text")
    assert rest < 4

    seconds, _ = await asyncio.wait_for(spoken(voice.synthesize(TEXT)), 30)
    print(f"{name}: {seconds:.1f} s over HTTP")
    assert 4 < seconds < 12
    await voice.aclose()


async def main(url: str) -> None:
    async with aiohttp.ClientSession() as session:
        for encoding in ("mp3_22050_32", "pcm_24000"):
            voice = elevenlabs.TTS(
                voice_id="heart",
                api_key="none",
                base_url=f"{url}/v1",
                encoding=encoding,  # type: ignore[arg-type]
                http_session=session,
            )
            await check(f"LiveKit, {encoding}", voice)
        async with aiohttp.ClientSession() as other:
            voices = await elevenlabs.TTS(
                api_key="none", base_url=f"{url}/v1", http_session=other
            ).list_voices()
        assert "heart" in {voice.id for voice in voices}


asyncio.run(main(sys.argv[1]))
