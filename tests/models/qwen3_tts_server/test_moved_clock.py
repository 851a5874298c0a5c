"""Move the clock over midnight in UTC: a consent ends on every surface, with its recording."""

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from wyoming.client import AsyncTcpClient
from wyoming.tts import Synthesize, SynthesizeVoice

for package in ("torch", "safetensors", "tokenizers"):
    pytest.importorskip(
        package,
        reason=f"Qwen3-TTS needs {package}: make test-qwen, or pip install 'vivavoce[qwen]'",
    )

from tests.conftest import serving  # noqa: E402 - after the check for torch
from tests.models.qwen3_tts.whole import whole_checkpoint  # noqa: E402
from tests.models.qwen3_tts_server.test_clones import FRAMES, TEXT, WORDS, encoded  # noqa: E402
from vivavoce.api.app import create_app  # noqa: E402
from vivavoce.settings import Settings  # noqa: E402
from vivavoce.wyoming.server import serving as wyoming_serving  # noqa: E402
from vivavoce.wyoming.services import Options  # noqa: E402

VOICES = "/v1/tts/voices"
LAST = date(2031, 5, 14)
MIDNIGHT_S = datetime(LAST.year, LAST.month, LAST.day, tzinfo=UTC).timestamp() + 86_400
WHY = f"its consent ended on {LAST}"
HEARD = "(audio)"
BOOK = {"text": TEXT, "speaker": "anna", "formats": ["flac"]}


@dataclass
class Place:
    """A server, and the clock that it has."""

    url: str
    port: int  # of Wyoming
    data_dir: Path
    now_s: float = MIDNIGHT_S - 0.001

    @property
    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.url, timeout=120)


@pytest.fixture
async def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    base = whole_checkpoint(tmp_path / "Base", "base", frames=FRAMES)
    settings = Settings(
        default_model=str(base), models=("tone",), isolate_models=False, data_dir=tmp_path / "data"
    )
    with socket.create_server(("127.0.0.1", 0)) as listener:
        beside = partial(wyoming_serving, listener=listener, options=Options())
        here = Place("", listener.getsockname()[1], settings.data_dir)
        monkeypatch.setattr(time, "time", lambda: here.now_s)
        with serving(create_app(settings, beside=beside)) as here.url:
            yield here


def told(answer: httpx.Response) -> str:
    return HEARD if answer.headers["content-type"].startswith("audio/") else answer.text


async def posted(place: Place, path: str, body: dict[str, Any]) -> str:
    async with place.client as client:
        answer = await client.post(path, json=body)
    assert answer.status_code in (200, 403), answer.text
    return told(answer)


async def by_get(place: Place) -> str:
    async with place.client as client:
        return told(
            await client.get("/v1/tts/synthesize", params={"text": TEXT, "speaker": "anna"})
        )


async def live(place: Place, path: str, *messages: dict[str, Any]) -> str:
    """Return what a WebSocket tells until its speech or its connection ends."""
    said = list[str]()
    try:
        async with connect(place.url.replace("http", "ws", 1) + path) as ws, asyncio.timeout(60):
            for message in messages:
                await ws.send(json.dumps(message))
            while not any(end in "".join(said) for end in (WHY, HEARD)):
                got = await ws.recv()
                is_audio = isinstance(got, bytes) or '"audio":"' in got.replace(" ", "")
                said.append(HEARD if is_audio or "audio.delta" in str(got) else str(got))
    except InvalidStatus as refused:  # before the connection is one
        return (refused.response.body or b"").decode()
    except ConnectionClosed as closed:
        said.append(str(closed))
    return "".join(said)


async def by_wyoming(place: Place) -> str:
    async with AsyncTcpClient("127.0.0.1", place.port) as client, asyncio.timeout(60):
        await client.write_event(Synthesize(TEXT, SynthesizeVoice(name="anna")).event())
        while (event := await client.read_event()) is not None:
            if event.type == "audio-chunk":
                return HEARD
            if event.type == "error":
                return str(event.data)
    return ""


async def by_job(place: Place) -> str:
    """Return what is said of a new job, or of its end."""
    async with place.client as client:
        made = await client.post("/v1/jobs", json=BOOK)
        if made.status_code == 403:
            return made.text
        return await end_of(client, made.json()["id"])


async def end_of(client: httpx.AsyncClient, job: str) -> str:
    await client.get(f"/v1/jobs/{job}/events")  # which end with the job
    ended = (await client.get(f"/v1/jobs/{job}")).json()
    return HEARD if ended["state"] == "done" else str(ended)


SURFACES: dict[str, Callable[[Place], Awaitable[str]]] = {
    "native": lambda p: posted(p, "/v1/tts/synthesize", {"text": TEXT, "speaker": "anna"}),
    "native GET": by_get,
    "preview": lambda p: posted(p, f"{VOICES}/anna/preview", {"text": TEXT}),
    "dialogue": lambda p: posted(
        p, "/v1/tts/synthesize", {"inputs": [{"text": TEXT, "speaker": "anna"}]}
    ),
    "OpenAI": lambda p: posted(
        p, "/v1/audio/speech", {"input": TEXT, "voice": "anna", "model": "tts-1"}
    ),
    "ElevenLabs": lambda p: posted(p, "/v1/text-to-speech/anna", {"text": TEXT}),
    "Wit": lambda p: posted(p, "/wit/synthesize", {"q": TEXT, "voice": "anna"}),
    "native live": lambda p: live(
        p, "/v1/tts/stream", {"type": "begin", "speaker": "anna", "format": "pcm"},
        {"type": "text", "text": TEXT}, {"type": "end"},
    ),
    "ElevenLabs live": lambda p: live(
        p, "/v1/text-to-speech/anna/stream-input", {"text": " "}, {"text": TEXT + " "}, {"text": ""}
    ),
    "Omni live": lambda p: live(
        p, "/v1/audio/speech/stream",
        {"type": "session.config", "voice": "anna", "response_format": "pcm"},
        {"type": "input.text", "text": TEXT}, {"type": "input.done"},
    ),
    "Realtime": lambda p: live(
        p, "/v1/realtime?model=gpt-realtime",
        {"type": "session.update",
         "session": {"type": "realtime", "audio": {"output": {"voice": "anna"}}}},
        {"type": "conversation.item.create",
         "item": {"type": "message", "role": "user",
                  "content": [{"type": "input_text", "text": TEXT}]}},
        {"type": "response.create"},
    ),
    "Wyoming": by_wyoming,
    "jobs": by_job,
}  # fmt: skip


async def test_consent_ends_at_midnight_on_every_surface_and_is_erased(place: Place) -> None:
    consent = {"by": "Anna Lind", "words": "Until then.", "expires": str(LAST)}
    anna = {"name": "Anna", "ref_audio": encoded(1), "ref_text": WORDS, "consent": consent}
    async with place.client as client:
        made = await client.post(VOICES, json=anna)
        assert made.status_code == 201, made.text
        waiting = (await client.post("/v1/jobs", json={**BOOK, "paused": True})).json()["id"]
    folder = place.data_dir / "voices" / made.json()["id"]
    before = {name: await speak(place) for name, speak in SURFACES.items()}
    assert {name: said for name, said in before.items() if HEARD not in said} == {}
    assert list((folder / "prepared").iterdir())

    place.now_s = MIDNIGHT_S
    first = await SURFACES["native"](place)
    assert WHY in first
    assert sorted(path.name for path in folder.iterdir()) == ["voice.json"]
    after = {name: await speak(place) for name, speak in SURFACES.items()}
    assert {name: said for name, said in after.items() if WHY not in said} == {}
    async with place.client as client:
        for path in (f"{VOICES}/anna/export", "/v1/voices/anna"):
            refused = await client.get(path)
            assert (refused.status_code, WHY in refused.text) == (403, True)
        renewed = {**consent, "expires": str(LAST + timedelta(9))}
        late = await client.put(f"{VOICES}/anna/consent", json=renewed)
        assert (late.status_code, WHY in late.text) == (403, True)
        again = await client.post(VOICES, json=anna)
        assert again.json()["error"]["field"] == "consent.expires"
        await client.post(f"/v1/jobs/{waiting}/resume")
        assert WHY in await end_of(client, waiting)
