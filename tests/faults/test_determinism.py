"""Test that the same text, voice and seed give the same bytes, alone and beside others."""

import asyncio
import json
from contextlib import aclosing

import httpx
import pytest
from benchmarks.process import started
from benchmarks.wire import Address, get_json, send

from vivavoce.audio import MEDIA_TYPES
from vivavoce.errors import MissingDependency
from vivavoce.models.kokoro.assets import locate
from vivavoce.settings import Settings

M4A = ("m4a", True)  # which is not streamed
OTHERS = [f"Number {number} has something else to say." for number in range(7)]


async def spoken(address: Address, model: str, text: str) -> bytes:
    fields = {
        "text": text, "model": model, "seed": 7, "language": "en", "format": "pcm", "stream": True,
    }  # fmt: skip
    body = json.dumps(fields).encode("ascii")
    async with (
        send(address, "POST", "/v1/tts/synthesize", body) as response,
        aclosing(response.pieces()) as pieces,
    ):
        assert response.status == 200
        return b"".join([piece async for piece in pieces])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "text"),
    [("tone", "The lamp is on the table."), ("hibari", "The lamp is on it."), ("kokoro", "Hello.")],
)
async def test_same_request_has_the_same_bytes_alone_and_beside_seven_others(
    model: str, text: str
) -> None:
    if model == "kokoro":
        try:
            locate(Settings().cache_dir, None)
        except MissingDependency as error:
            pytest.skip(error.message)
    others = (
        ["Yes.", "No.", "So.", "Oh.", "Well.", "Now.", "Here."] if model == "kokoro" else OTHERS
    )
    async with asyncio.timeout(120), started([model], environment={}, memory_gib=6.0) as server:
        infos = await get_json(server.address, f"/v1/tts/models?model={model}")
        assert infos["models"][0]["capabilities"]["deterministic"] is True  # type: ignore[index]  # JSON
        alone = await spoken(server.address, model, text)
        beside, *_ = await asyncio.gather(
            *(spoken(server.address, model, each) for each in (text, *others))
        )
        assert len(alone) > 10_000
        assert beside == alone
        assert await spoken(server.address, model, text) == alone


@pytest.mark.parametrize(
    ("audio_format", "stream"),
    [(name, stream) for name in MEDIA_TYPES for stream in (True, False) if (name, stream) != M4A],
)
async def test_equal_requests_are_equal_bytes_in_every_format(
    client: httpx.AsyncClient, audio_format: str, stream: bool
) -> None:
    fields = {
        "text": "The lamp is on the table.", "seed": 7, "format": audio_format, "stream": stream,
    }  # fmt: skip
    one, same, other = [
        (await client.post("/v1/tts/synthesize", json={**fields, **more})).content
        for more in ({}, {}, {"speaker": "hum"})
    ]
    assert one == same != other
    openai = {"input": fields["text"], "voice": "sine", "seed": 7, "response_format": audio_format}
    first, second = [(await client.post("/v1/audio/speech", json=openai)).content for _ in range(2)]
    assert first == second


async def test_ogg_streams_of_unlike_requests_have_serial_numbers_of_their_own(
    client: httpx.AsyncClient,
) -> None:
    """A player takes streams that were put one behind the other for one, if they had the same."""
    serials = set()
    for more in ({}, {"seed": 8}, {"speaker": "hum"}, {"text": "Good night."}, {"speed": 1.5}):
        answer = await client.post(
            "/v1/tts/synthesize", json={"text": "Hello.", "seed": 7, "format": "opus", **more}
        )
        serials.add(int.from_bytes(answer.content[14:18], "little"))
    assert len(serials) == 5
