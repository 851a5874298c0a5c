"""Check which recordings requests may hold, and which are refused before a model works."""

import base64

import httpx
import numpy as np
import pytest

from tests.conftest import app_client, tone_pool
from vivavoce.api.app import create_app
from vivavoce.audio import wav_bytes
from vivavoce.settings import Settings

NATIVE, OPENAI = "/v1/tts/synthesize", "/v1/audio/speech"
SPOKEN = wav_bytes(np.sin(np.arange(48_000) / 20).astype(np.float32) / 2, 24_000)
GOOD = base64.b64encode(SPOKEN).decode()


async def refused(client: httpx.AsyncClient, **fields: object) -> tuple[str, str]:
    """Return the field and the message of a request's refusal, which both surfaces give alike."""
    native = await client.post(NATIVE, json={"text": "Hello.", **fields})
    openai = await client.post(OPENAI, json={"input": "Hello.", **fields})
    error, other = native.json()["error"], openai.json()["error"]
    assert (native.status_code, openai.status_code) == (422, 400), native.text
    assert (error["field"], error["message"]) == (other["param"], other["message"])
    return error["field"], error["message"]


@pytest.mark.parametrize(
    "sent",
    [
        GOOD,
        f"data:audio/wav;base64,{GOOD}",
        f"data:audio/ogg;codecs=opus;base64,{GOOD}",
        f"DATA:;base64,{GOOD}",
        "\n".join(GOOD[at : at + 76] for at in range(0, len(GOOD), 76)),
    ],
    ids=["plain", "data URL", "with parameters", "without a type", "in lines"],
)
async def test_recording_comes_in_base64(client: httpx.AsyncClient, sent: str) -> None:
    field, message = await refused(client, ref_audio=sent, model="tone")
    assert (field, message.split(":")[0]) == (
        "ref_audio",
        "model 'tone' clones no voice",
    )  # so it has been read


@pytest.mark.parametrize(
    "url", ["http://host/a.wav", "https://host/a.wav", "file:///etc/passwd", "FTP://host/a"]
)
async def test_nothing_is_fetched(client: httpx.AsyncClient, url: str) -> None:
    field, message = await refused(client, ref_audio=url)
    assert field == "ref_audio"
    assert "nothing is fetched here" in message
    assert url in message


@pytest.mark.parametrize(
    ("fields", "field", "says"),
    [
        ({"ref_audio": ""}, "ref_audio", "is empty"),
        ({"ref_audio": "not base64!"}, "ref_audio", "is not base64"),
        ({"ref_audio": "abc"}, "ref_audio", "is not base64"),
        ({"ref_audio": "data:audio/wav,RIFF"}, "ref_audio", "is not base64"),
        (
            {"ref_audio": base64.b64encode(b"hello" * 1000).decode()},
            "ref_audio",
            "cannot be read as wav, mp3",
        ),
        (
            {"ref_audio": base64.b64encode(SPOKEN[:20_000]).decode()},
            "ref_audio",
            "s of sound, fewer than 1",
        ),
        ({"ref_audio": 7}, "ref_audio", "string"),
        ({"ref_text": "Words."}, "ref_text", "without a recording"),
        ({"x_vector_only": True}, "x_vector_only", "without a recording"),
        ({"x_vector_only_mode": True}, "x_vector_only", "without a recording"),
        ({"ref_audio": GOOD, "x_vector_only": False}, "ref_text", "send what is said in ref_audio"),
        (
            {"ref_audio": GOOD, "x_vector_only": False, "ref_text": " "},
            "ref_text",
            "send what is said in ref_audio",
        ),
    ],
)
async def test_what_is_wrong_with_a_recording_is_named(
    client: httpx.AsyncClient, fields: dict[str, object], field: str, says: str
) -> None:
    found, message = await refused(client, **fields)
    assert found == field
    assert says in message
    assert len(message) < 400  # a recording is not echoed


async def test_speaker_beside_a_recording_is_refused_with_the_reason(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.post(
        NATIVE, json={"text": "Hello.", "ref_audio": GOOD, "speaker": "sine"}
    )
    error = answer.json()["error"]
    assert (answer.status_code, error["field"]) == (422, "speaker")
    assert "'sine' is one voice and ref_audio another" in error["message"]


@pytest.mark.parametrize("field", ["ref_audio", "ref_text", "x_vector_only"])
async def test_query_takes_no_recording(client: httpx.AsyncClient, field: str) -> None:
    answer = await client.get(NATIVE, params={"text": "Hello.", field: "1"})
    assert (answer.status_code, answer.json()["error"]["field"]) == (422, field)


async def test_half_a_minute_of_stereo_fits_into_the_default_body() -> None:
    samples = np.random.default_rng(0).normal(0, 0.1, 2 * 30 * 48_000).astype(np.float32)
    stereo = bytearray(wav_bytes(samples, 48_000))
    stereo[22:24] = b"\x02\x00"
    stereo[32:34] = b"\x04\x00"
    body = {"text": "Hello.", "ref_audio": base64.b64encode(stereo).decode()}
    async with app_client(create_app(Settings(models=("tone",)), tone_pool())) as client:
        answer = await client.post(NATIVE, json=body)
    assert "clones no voice" in answer.json()["error"]["message"]
