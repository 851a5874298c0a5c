"""Test that clients that never read cost little memory and lose their slots."""

import asyncio
import json
from collections.abc import Mapping
from contextlib import ExitStack

import pytest
from benchmarks.load import ask
from benchmarks.tone import SHORT, Held, tone_server
from benchmarks.wire import unread

pytestmark = pytest.mark.slow

MIB_EACH = 4.0  # as docs/reliability.md says
TEXT = "A text that goes on and on. " * 400  # eleven minutes
NATIVE = "/v1/tts/synthesize"
OPENAI = "/v1/audio/speech"


@pytest.mark.parametrize(
    ("path", "readers", "body"),
    [
        (NATIVE, 40, {"text": TEXT, "model": "tone", "stream": True}),
        (
            OPENAI,
            4,
            {"input": TEXT, "voice": "sine", "response_format": "mp3", "sample_rate": 48_000},
        ),
        (
            OPENAI,
            40,
            {"input": TEXT, "voice": "sine", "response_format": "wav", "stream_format": "sse"},
        ),
    ],
    ids=["wav", "mp3", "events"],
)
async def test_readers_that_never_read_hold_little_and_are_dropped(
    path: str, readers: int, body: Mapping[str, object]
) -> None:
    sent = json.dumps(body).encode("ascii")
    async with tone_server(send_timeout_s=3) as server:
        for _ in range(4):  # what is allocated once is there
            await asyncio.gather(*(ask(server.address, question) for question in SHORT))
        before = most = Held.of(server)
        with ExitStack() as connections:
            for _ in range(readers):
                connections.enter_context(unread(server.address, path, sent))
            async with asyncio.timeout(
                300
            ):  # mp3 takes its time until the system's buffers are full
                while (
                    most.files < before.files + readers // 2
                    or Held.of(server).files > before.files + 2
                ):
                    held = Held.of(server)
                    most = Held(
                        max(most.files, held.files), most.threads, max(most.own_mib, held.own_mib)
                    )
                    await asyncio.sleep(0.02)
            assert (most.own_mib - before.own_mib) / readers < MIB_EACH
            assert (await ask(server.address, SHORT[0])).good
