"""Speak through LiveKit's plugin for OpenAI, by the speech API and by the realtime protocol.

    pip install livekit-plugins-openai
    python tests/clients/openai_livekit.py http://localhost:8000 [KEY]

Exits with 1 if anything is not as the plugin expects.
"""

import asyncio
import sys
from typing import Any

from livekit.plugins import openai

TEXT = "The lamp is on the table. The cat is under it."


async def speech(url: str, key: str, model: str) -> None:
    async with openai.TTS(base_url=f"{url}/v1", api_key=key, model=model, voice="alloy") as tts:
        frame = await tts.synthesize(TEXT).collect()
    assert 1.0 < frame.duration < 20.0, frame.duration
    print(f"speech API, {model}: {frame.duration:.1f} s of audio")


async def realtime(url: str, key: str) -> None:
    model = openai.realtime.RealtimeModel(
        base_url=f"{url}/v1", api_key=key, model="gpt-realtime", voice="marin", turn_detection=None
    )
    session: Any = model.session()
    errors: list[Any] = []
    session.on("error", errors.append)
    answer = await asyncio.wait_for(session.generate_reply(instructions=f"Say: {TEXT}"), 30)
    seconds, text = 0.0, ""
    async for message in answer.message_stream:
        async for piece in message.text_stream:
            text += piece
        async for frame in message.audio_stream:
            seconds += frame.duration
    await session.aclose()
    await model.aclose()
    assert not errors, errors
    assert text == TEXT, text
    assert 1.0 < seconds < 20.0, seconds
    print(f"realtime protocol: {seconds:.1f} s of audio")


async def main() -> None:
    url, key = sys.argv[1].rstrip("/"), sys.argv[2] if len(sys.argv) > 2 else "none"
    for model in ("gpt-4o-mini-tts", "tts-1"):  # by events, and as raw audio
        await speech(url, key, model)
    await realtime(url, key)


if __name__ == "__main__":
    asyncio.run(main())
