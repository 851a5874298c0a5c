"""Speak with saved recordings on every API, on a random Base checkpoint."""

import base64
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

for package in ("torch", "safetensors", "tokenizers"):
    pytest.importorskip(
        package,
        reason=f"Qwen3-TTS needs {package}: make test-qwen, or pip install 'vivavoce[qwen]'",
    )

from tests.conftest import app_client  # noqa: E402 - after the check for torch
from tests.models.qwen3_tts.whole import whole_checkpoint  # noqa: E402
from tests.models.qwen3_tts_server.test_clones import (  # noqa: E402
    FRAMES,
    TEXT,
    WORDS,
    encoded,
    same,
    samples_in,
    samples_of,
    synthesize,
)
from vivavoce.api.app import create_app  # noqa: E402
from vivavoce.settings import Settings  # noqa: E402

VOICES = "/v1/tts/voices"
CONSENT = {"by": "Anna Lind", "words": "You may use my voice."}
ANNA = {"name": "Anna", "ref_audio": encoded(1), "ref_text": WORDS, "consent": CONSENT}


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoints")
    for name, task in (("Custom", "custom_voice"), ("Base", "base")):
        whole_checkpoint(folder / name, task, frames=FRAMES)
    return folder


@pytest.fixture
async def client(checkpoints: Path, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    settings = Settings(
        default_model=str(checkpoints / "Custom"),
        qwen=(checkpoints / "Base",),
        models=("tone",),
        isolate_models=False,
        data_dir=tmp_path,
    )
    async with app_client(create_app(settings)) as client:
        yield client


async def test_saved_recording_speaks_on_every_api(
    client: httpx.AsyncClient, tmp_path: Path
) -> None:
    made = await client.post(VOICES, json=ANNA)
    assert made.status_code == 201, made.text
    kept = (tmp_path / "voices" / made.json()["id"] / "recording.flac").read_bytes()
    sent = {"ref_audio": base64.b64encode(kept).decode(), "ref_text": WORDS}
    expected = samples_of(await synthesize(client, **sent))
    named = await synthesize(client, speaker="anna")
    assert (named.headers["x-model"], named.headers["x-voice"]) == ("base", "Anna")
    assert same(samples_of(named), expected)
    openai = {"input": TEXT, "voice": "anna", "model": "tts-1", "response_format": "wav", "seed": 1}
    answer = await client.post("/v1/audio/speech", json=openai)
    assert answer.status_code == 200, answer.text
    assert (answer.headers["x-voice"], answer.headers.get("x-ignored")) == ("Anna", None)
    again = await client.get(
        "/v1/tts/synthesize", params={"text": TEXT, "speaker": "anna", "seed": 1}
    )
    assert same(samples_in(again.content), expected)
    eleven = await client.post("/v1/text-to-speech/anna", json={"text": TEXT})
    assert eleven.status_code == 200, eleven.text
    inputs = [{"text": TEXT}, {"text": TEXT, "speaker": "anna"}]
    explained = await client.post("/v1/tts/explain", json={"inputs": inputs})
    assert explained.status_code == 200, explained.text
    spoken = [(part["speaker"], part["model"]) for part in explained.json()["segments"]]
    assert [spoken[0][1], spoken[1]] == ["custom", ("Anna", "base")]
    both = await client.post("/v1/tts/synthesize", json={"inputs": inputs, "seed": 1})
    assert len(samples_of(both)) > len(expected)
    listed = (await client.get("/v1/audio/voices", params={"model": "base"})).json()["voices"]
    assert ("Anna", "base") in [(voice["id"], voice["model"]) for voice in listed]


async def test_saved_recording_needs_a_model_that_clones(client: httpx.AsyncClient) -> None:
    await client.post(VOICES, json=ANNA)
    refused = (await synthesize(client, speaker="anna", model="tone")).json()["error"]
    assert (refused["code"], refused["field"]) == ("unsupported", "speaker")
    assert "choose model 'base'" in refused["message"]
    assert (await synthesize(client, speaker="anna", model="base")).status_code == 200


async def test_revoked_recording_speaks_no_more(client: httpx.AsyncClient) -> None:
    await client.post(VOICES, json=ANNA)
    assert (await synthesize(client, speaker="anna")).status_code == 200
    await client.post(f"{VOICES}/anna/revoke")
    assert (await synthesize(client, speaker="anna")).status_code == 403
    assert (await synthesize(client, speaker="anna", model="base")).status_code == 403
