"""Check the API of Meta's Voice SDK, called and read as the SDK does."""

import json
import re
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import pytest

from tests.conftest import app_client, serving, tone_pool
from tests.decoding import decode, wav_seconds
from vivavoce.api.app import create_app
from vivavoce.keys import FILE_NAME, KeyFile, Scope
from vivavoce.models.tone import CHAR_S
from vivavoce.settings import Settings
from vivavoce.text.visemes import VISEMES

RATE_HZ = 24_000
TEXT = "lamp lamp lamp lamp lamp."
LONG = "The first sentence goes on until its end. " * 4
SDK = {
    "Authorization": "Bearer XXX",
    "X-Wit-Client-Request-Id": "1732310000-0a",
    "client-user-id": "somebody",
}


async def synthesize(
    client: httpx.AsyncClient, accept: str = "audio/raw", **fields: str
) -> httpx.Response:
    body = {"q": TEXT, "viseme": "false", "voice": "sine", "style": "default", **fields}
    return await client.post(
        "/wit/synthesize?v=20250213", json=body, headers={**SDK, "Accept": accept}
    )


@dataclass(frozen=True)
class Told:
    """The events and the audio of an answer's frames."""

    events: list[dict[str, object]]
    audio: bytes
    frames: int

    def offsets(self, kind: str) -> list[int]:
        return [
            offset
            for event in self.events
            if event["type"] == kind and isinstance(offset := event["offset"], int)
        ]


def read_frames(data: bytes) -> Told:
    """Read frames as the SDK does: one bit for each length, no others, no bytes left."""
    events: list[dict[str, object]] = []
    audio, frames = b"", 0
    while data:
        flags, text, binary = struct.unpack_from("<Bqq", data)
        assert (flags & 1 > 0, flags & 2 > 0, flags & ~3) == (binary > 0, text > 0, 0)
        events += json.loads(data[17 : 17 + text]) if text else []
        audio += data[17 + text : 17 + text + binary]
        assert len(data) >= 17 + text + binary
        data, frames = data[17 + text + binary :], frames + 1
    return Told(events, audio, frames)


def pitch_hz(audio: bytes) -> float:
    samples = np.frombuffer(audio, "<i2").astype(np.float64)
    return float(np.abs(np.fft.rfft(samples)).argmax() * RATE_HZ / len(samples))


@pytest.fixture
async def at_root() -> AsyncIterator[httpx.AsyncClient]:
    """Serve the API at the root."""
    async with app_client(create_app(Settings(wit_prefix="/"), tone_pool())) as client:
        yield client


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("audio/raw", "audio/raw;encoding=signed-integer;bits=16;rate=24000;endian=little"),
        ("audio/mpeg", "audio/mpeg"),
        ("audio/wav", "audio/wav"),
        ("*/*", "audio/mpeg"),
        ("", "audio/mpeg"),
    ],
)
async def test_each_format_is_24_khz_mono_of_the_right_length(
    client: httpx.AsyncClient, accept: str, media_type: str
) -> None:
    response = await synthesize(client, accept)
    assert (response.status_code, response.headers["content-type"]) == (200, media_type)
    if accept == "audio/raw":
        samples, rate = np.frombuffer(response.content, "<i2"), RATE_HZ
    else:
        samples, rate = decode(response.content)
    assert rate == RATE_HZ
    assert len(samples) / rate == pytest.approx(len(TEXT) * CHAR_S, abs=0.15)


async def test_wav_is_one_exact_file(client: httpx.AsyncClient) -> None:
    content = (await synthesize(client, "audio/wav")).content
    assert struct.unpack_from("<I", content, 40)[0] == content.index(b"LIST") - 44
    assert struct.unpack_from("<I", content, 4)[0] == len(content) - 8
    assert wav_seconds(content) > 1


@pytest.mark.parametrize("accept", ["audio/raw", "audio/mpeg"])
async def test_frames_carry_the_same_audio_as_the_answer_without_events(
    client: httpx.AsyncClient, accept: str
) -> None:
    plain = await synthesize(client, accept, q=LONG)
    told = read_frames((await synthesize(client, accept, q=LONG, viseme="true")).content)
    assert told.audio == plain.content
    assert told.frames > 1


async def test_events_are_words_and_visemes_in_order_within_the_audio(
    client: httpx.AsyncClient,
) -> None:
    told = read_frames((await synthesize(client, q=LONG, viseme="true")).content)
    words = [event["data"] for event in told.events if event["type"] == "WORD"]
    assert words == LONG.replace(".", "").split()
    assert {event["data"] for event in told.events if event["type"] == "VISEME"} <= set(VISEMES)
    for kind in ("WORD", "VISEME"):
        assert told.offsets(kind) == sorted(told.offsets(kind))
    assert 0 <= min(told.offsets("WORD")) < max(told.offsets("VISEME")) <= len(told.audio) // 2
    assert told.events[-1]["data"] == "sil"


async def test_words_are_where_equal_words_are_heard(client: httpx.AsyncClient) -> None:
    told = read_frames((await synthesize(client, viseme="true")).content)
    heard = [index * len("lamp ") * CHAR_S for index in range(5)]
    assert np.array(told.offsets("WORD")) / RATE_HZ == pytest.approx(heard, abs=0.1)


async def test_offsets_follow_the_audio_at_another_speed_and_across_segments(
    client: httpx.AsyncClient,
) -> None:
    slow = read_frames((await synthesize(client, q=LONG, viseme="true", speed="50")).content)
    fast = read_frames((await synthesize(client, q=LONG, viseme="true", speed="200")).content)
    assert slow.offsets("WORD")[-1] / fast.offsets("WORD")[-1] == pytest.approx(4, rel=0.05)
    samples = np.abs(np.frombuffer(slow.audio, "<i2").astype(int))
    assert samples[slow.offsets("VISEME")[-1] + 1 :].max(initial=0) < 200  # -44 dBFS


async def test_pitch_changes_the_pitch_and_not_the_length(client: httpx.AsyncClient) -> None:
    plain = (await synthesize(client, q="aaaaaaaaaaaaaaaa")).content
    high = (await synthesize(client, q="aaaaaaaaaaaaaaaa", pitch="150")).content
    assert len(high) == pytest.approx(len(plain), rel=0.02)
    assert pitch_hz(high) / pitch_hz(plain) == pytest.approx(1.5, rel=0.02)


@pytest.mark.parametrize("voice", ["Charlie", "wit$Charlie", ""])
async def test_the_voice_of_a_scene_where_nobody_chose_lets_the_server_choose(
    client: httpx.AsyncClient, voice: str
) -> None:
    assert (await synthesize(client, voice=voice)).headers["x-voice"] == "sine"


async def test_style_asks_for_what_a_model_may_not_follow(client: httpx.AsyncClient) -> None:
    assert (await synthesize(client, style="whisper")).headers["x-ignored"] == "style"
    assert "x-ignored" not in (await synthesize(client)).headers


@pytest.mark.parametrize(
    ("accept", "fields", "status", "code", "says"),
    [
        ("audio/raw", {"q": ""}, 400, "invalid_request", "''"),
        ("audio/raw", {"speed": "fast"}, 400, "invalid_request", "'fast'"),
        ("audio/raw", {"speed": "500"}, 400, "invalid_request", "'500'"),
        ("audio/raw", {"voice": "nobody"}, 404, "voice_not_found", "'nobody'"),
        ("audio/opus-demo", {}, 400, "unsupported", "'audio/opus-demo'"),
        ("audio/raw", {"voice": "crash-at-once"}, 500, "engine_fault", "tone"),
        ("audio/raw", {"voice": "crash-at-once", "viseme": "true"}, 500, "engine_fault", "tone"),
    ],
)
async def test_error_has_the_shape_that_the_sdk_shows(
    client: httpx.AsyncClient,
    accept: str,
    fields: dict[str, str],
    status: int,
    code: str,
    says: str,
) -> None:
    response = await synthesize(client, accept, **fields)
    error = response.json()
    assert (response.status_code, error["code"], set(error)) == (status, code, {"error", "code"})
    assert says in error["error"]


async def test_voices_are_listed_by_language(client: httpx.AsyncClient) -> None:
    listed = (await client.get("/wit/voices?v=20250213", headers=SDK)).json()
    assert {"name", "locale", "gender", "styles", "supported_features"} == set(listed["en"][0])
    assert [voice["name"] for voice in listed["en"]][:2] == ["sine", "hum"]


@pytest.mark.parametrize("prefix", ["/wit", "/speech/", "/"])
@pytest.mark.parametrize(
    ("scopes", "sent", "status", "code"),
    [
        (("speak",), "Bearer {key}", 200, ""),
        (("speak",), "Bearer XXX", 401, "invalid_api_key"),
        (("speak",), "", 401, "invalid_api_key"),
        (("manage",), "Bearer {key}", 403, "missing_scope"),
    ],
)
def test_with_keys_speaking_needs_one_as_the_client_access_token_and_the_list_of_voices_none(
    tmp_path: Path, prefix: str, scopes: tuple[Scope, ...], sent: str, status: int, code: str
) -> None:
    key = KeyFile(tmp_path / FILE_NAME).create("headset", scopes)
    headers = {"Accept": "audio/raw", "Authorization": sent.format(key=key)} if sent else {}
    with serving(create_app(Settings(wit_prefix=prefix, data_dir=tmp_path), tone_pool())) as url:
        at = url + prefix.rstrip("/")
        spoken = httpx.post(
            f"{at}/synthesize?v=20250213", json={"q": TEXT, "viseme": "true"}, headers=headers
        )
        listed = httpx.get(f"{at}/voices?v=20250213")
        changed = httpx.delete(f"{at}/voices", headers=headers)
    assert (spoken.status_code, listed.status_code) == (status, 200)
    assert [voice["name"] for voice in listed.json()["en"]][:2] == ["sine", "hum"]
    assert changed.status_code in (401, 403, 405)
    if status == 200:
        assert read_frames(spoken.content).audio
    else:
        assert (spoken.json()["code"], set(spoken.json())) == (code, {"error", "code"})
        assert "XXX" not in spoken.text


async def test_surface_may_be_at_the_root(at_root: httpx.AsyncClient) -> None:
    assert (await at_root.get("/voices")).status_code == 200
    assert (await at_root.post("/synthesize", json={"q": TEXT})).status_code == 200
    assert (await at_root.get("/")).headers["content-type"].startswith("text/html")


async def test_surface_may_be_off() -> None:
    async with app_client(create_app(Settings(wit_prefix=""), tone_pool())) as client:
        assert (await synthesize(client)).status_code == 404


def test_prefix_is_a_path() -> None:
    with pytest.raises(ValueError, match="wit_prefix"):
        Settings(wit_prefix="wit")


async def test_server_that_stops_answers_in_the_shape_of_wit() -> None:
    app = create_app(Settings(), tone_pool())
    async with app_client(app) as client:
        app.state.server.lifecycle.drain()
        answer = await client.post("/wit/synthesize", json={"q": "Hello."})
    assert (answer.status_code, set(answer.json())) == (503, {"error", "code"})
    assert answer.json()["code"] == "not_ready"


@pytest.mark.slow
def test_lips_close_for_each_p_b_and_m_while_it_is_heard(hibari_url: str) -> None:
    text = "Peter bought a map. My big brown puppy may jump above the lamp. Bob may come home."
    body = {"q": text, "viseme": "true", "voice": "heart"}
    answer = httpx.post(
        f"{hibari_url}/wit/synthesize", json=body, headers={"Accept": "audio/raw"}, timeout=60
    )
    told = read_frames(answer.content)
    lips = [event["offset"] for event in told.events if event["data"] == "PP"]
    sounds = [event for event in told.events if event["type"] == "PHONE"]
    closed = [event["offset"] for event in sounds if set(str(event["data"])) & set("pbm")]
    letters = re.sub("pp|mb(?!e)", "p", text.lower())
    assert len(closed) == sum(map(letters.count, "pbm"))
    assert len(set(closed) & set(lips)) >= 0.95 * len(closed)
    assert max(told.offsets("PHONE")) < len(told.audio) // 2
