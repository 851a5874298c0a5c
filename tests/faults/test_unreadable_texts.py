"""Test texts that a front end fails on, or that would take long.

They cost one segment at most, never the server.
"""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from urllib.parse import quote

import httpx
import pytest

from tests.conftest import app_client, tone_pool
from vivavoce.api.app import create_app
from vivavoce.models.kokoro.g2p import Phonemizer
from vivavoce.settings import Settings
from vivavoce.synthesis.synthesizer import Synthesizer
from vivavoce.text.normalize import PART_CHARS, normalize, parts
from vivavoce.text.split import split
from vivavoce.text.tracked import Tracked
from vivavoce.types import SpeechRequest

RATE_HZ = 24_000
LISTS = {
    "1 to 24": ",".join(map(str, range(1, 25))),
    "dollars in 15 groups": "$1" + ",000" * 14,
    "60 digits": "1234567890" * 6,
    "5,000 digits": "7" * 5_000,
    "120 halves": "½" * 120,
    "groups of four": "1,2345,6789",
}
SILENT = " ".join(["ʬʬʬ"] * 9)  # letters that no front end of English says anything for
AROUND = (
    "This sentence is spoken before the other one.",
    "And this one is spoken after the other one.",
)
LONG = 100_000


@pytest.fixture
async def hibari() -> AsyncIterator[httpx.AsyncClient]:
    async with app_client(create_app(Settings(models=("hibari",)))) as client:
        yield client


async def seconds(client: httpx.AsyncClient, text: str, **fields: object) -> float:
    """How long the speech of `text` lasts, all of which is spoken."""
    response = await client.post(
        "/v1/tts/synthesize", json={"text": text, "format": "pcm", **fields}, timeout=600
    )
    assert response.status_code == 200, response.text
    assert "X-Unspoken" not in response.headers
    return len(response.content) / 2 / RATE_HZ


@pytest.mark.parametrize("name", LISTS)
async def test_list_of_numbers_is_spoken_by_hibari(hibari: httpx.AsyncClient, name: str) -> None:
    text = LISTS[name][:300]  # long enough to fail, short enough to wait for
    digits = sum(character.isdigit() for character in text)
    assert await seconds(hibari, text, language="en") > 0.1 * digits


@pytest.mark.slow
@pytest.mark.parametrize("language", ["en", "es", "fr", "it", "pt", "ja", "zh"])
def test_list_of_numbers_is_read_by_kokoro(language: str) -> None:
    phonemizer = Phonemizer()
    for text in LISTS.values():
        for segment in split(normalize(text), language, max_chars=250):
            assert phonemizer.phonemize(segment.text, language)


@pytest.mark.slow
async def test_list_of_numbers_is_spoken_by_kokoro() -> None:
    settings = Settings(models=("kokoro",), isolate_models=False)
    async with app_client(create_app(settings)) as client:
        for text in LISTS.values():
            wanted = {"text": text[:40], "format": "pcm", "language": "en"}
            response = await client.post("/v1/tts/synthesize", json=wanted, timeout=600)
            assert response.status_code == 200, response.text
            assert "X-Unspoken" not in response.headers
            assert len(response.content) > 2 * RATE_HZ


async def test_piece_that_cannot_be_read_is_named_and_the_others_are_spoken(
    hibari: httpx.AsyncClient,
) -> None:
    text = "\n\n".join((AROUND[0], SILENT, AROUND[1]))
    wanted = {"text": text, "language": "en", "format": "pcm"}
    whole = await hibari.post("/v1/tts/synthesize", json={**wanted, "stream": False})
    assert whole.status_code == 200, whole.text
    assert whole.headers["X-Unspoken"] == quote(SILENT[:24])
    assert len(whole.content) == pytest.approx(
        2 * RATE_HZ * sum([await seconds(hibari, sentence) for sentence in AROUND]), rel=0.25
    )


async def test_piece_before_the_first_audio_is_named_in_a_stream(hibari: httpx.AsyncClient) -> None:
    wanted = {"text": f"{SILENT}\n\n{AROUND[0]}", "language": "en", "format": "pcm", "stream": True}
    response = await hibari.post("/v1/tts/synthesize", json=wanted)
    assert response.status_code == 200, response.text
    assert response.headers["X-Unspoken"] == quote(SILENT[:24])
    assert len(response.content) > RATE_HZ


async def test_text_of_unreadable_pieces_alone_is_an_error(hibari: httpx.AsyncClient) -> None:
    wanted = {"text": f"{SILENT}\n\n{SILENT}", "language": "en"}
    response = await hibari.post("/v1/tts/synthesize", json=wanted)
    assert response.status_code == 422
    assert response.json()["error"]["code"] == "unsupported"


@pytest.mark.parametrize("token", ["😀", "http://", "a\n\n", "word ", "x", "\u0301\u0316"])
async def test_others_have_their_turn_while_a_long_text_is_normalised(token: str) -> None:
    text = "a " + token * ((LONG - 4) // len(token)) + " a"
    cut = parts(Tracked.of(text))
    assert max(len(part) for part, _ in cut) <= PART_CHARS
    turns = 0
    opening = asyncio.create_task(Synthesizer(tone_pool()).open(SpeechRequest(text, language="en")))
    while not opening.done():
        await asyncio.sleep(0)
        turns += 1
    await (await opening).aclose()
    assert turns >= len(cut)  # one between two parts, at least


_NO_MEMORY = """
import asyncio, resource
import httpx
from pathlib import Path
from tests.conftest import tone_pool
from vivavoce.api.app import create_app
from vivavoce.settings import Settings

async def main():
    app = create_app(Settings(), tone_pool())  # not started, or it would have the detector loaded
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://vivavoce") as client:
        told = {"text": "Bonne route, et bon courage pour demain matin.", "language": "fr"}
        (await client.post("/v1/tts/synthesize", json=told)).raise_for_status()
        import py3langid.langid
        taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (taken + 2**24, hard))
        response = await client.post("/v1/tts/synthesize", json={"text": told["text"]})
        resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
        code = response.json()["error"]["code"]
        print(response.status_code, response.headers.get("Retry-After"), code)
        again = await client.post("/v1/tts/synthesize", json={"text": told["text"]})
        print(again.status_code, again.headers["X-Language"])

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit on this process's memory")
def test_no_memory_for_the_detector_is_said_and_passes() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _NO_MEMORY], capture_output=True, text=True, timeout=120
    )
    assert done.stdout.splitlines() == ["503 5 out_of_memory", "200 fr"], done.stderr[-2000:]
