"""Make a voice with OpenAI's SDK and hear it everywhere, on a random Base checkpoint."""

import base64
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from openai import AsyncOpenAI, OpenAI, PermissionDeniedError
from wyoming.client import AsyncTcpClient
from wyoming.info import Describe, Info
from wyoming.tts import SynthesizeVoice

for package in ("torch", "safetensors", "tokenizers"):
    pytest.importorskip(
        package,
        reason=f"Qwen3-TTS needs {package}: make test-qwen, or pip install 'vivavoce[qwen]'",
    )

from tests.api.test_lifecycle import server  # noqa: E402 - after the check for torch
from tests.conftest import app_client, serving  # noqa: E402
from tests.models.qwen3_tts.whole import whole_checkpoint  # noqa: E402
from tests.models.qwen3_tts_server.test_clones import (  # noqa: E402
    FRAMES,
    TEXT,
    WORDS,
    recording,
    same,
    samples_in,
)
from tests.wyoming.house import audio, hear, say  # noqa: E402
from vivavoce.api.app import create_app  # noqa: E402
from vivavoce.client import AsyncClient  # noqa: E402
from vivavoce.models.qwen3_tts.tools.recorder import trace_speech  # noqa: E402
from vivavoce.settings import Settings  # noqa: E402
from vivavoce.wyoming import server as wyoming  # noqa: E402
from vivavoce.wyoming.services import Options  # noqa: E402

VOICES, SPEAK = "/v1/tts/voices", "/v1/tts/synthesize"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return whole_checkpoint(tmp_path_factory.mktemp("base") / "Base", "base", frames=FRAMES)


def settings(base: Path, data: Path) -> Settings:
    return Settings(default_model=str(base), models=("tone",), isolate_models=False, data_dir=data)


@contextmanager
def house(base: Path, data: Path) -> Iterator[tuple[str, int]]:
    """Serve HTTP and Wyoming. Yield the URL of the one and the port of the other."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        beside = partial(wyoming.serving, listener=listener, options=Options())
        with serving(create_app(settings(base, data), beside=beside)) as url:
            yield url, listener.getsockname()[1]


def saved(url: str, name: str = "anna", seed: int = 1, **fields: str) -> str:
    """Save a recording with a recorded consent, as OpenAI's SDK does. Return the voice's id."""
    with OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as sdk:
        file = (f"{name}.wav", recording(seed), "audio/wav")
        consent = sdk.audio.voice_consents.create(name=name, language="en", recording=file)
        extra = {"ref_text": WORDS, **fields}
        voice = sdk.audio.voices.create(
            name=name, audio_sample=file, consent=consent.id, extra_body=extra
        )
    return voice.id


def spoken(url: str, speaker: str = "anna") -> NDArray[np.int16]:
    body = {"text": TEXT, "speaker": speaker, "seed": 1}
    answer = httpx.post(url + SPEAK, json=body, timeout=60)
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-model"] == "base"
    return samples_in(answer.content)


async def test_voice_made_with_openai_speaks_on_every_api(base: Path, tmp_path: Path) -> None:
    with house(base, tmp_path) as (url, port):
        id = saved(url)
        expected = spoken(url)
        assert same(spoken(url, id), expected)
        async with AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as sdk:
            speech = await sdk.audio.speech.create(
                model="tts-1",
                voice={"id": id},
                input=TEXT,
                response_format="wav",
                extra_body={"seed": 1},
            )
            assert speech.response.headers["x-voice"] == "anna"
            assert same(samples_in(speech.content), expected)
        async with httpx.AsyncClient(base_url=url, timeout=60) as http:
            eleven = await http.post(
                "/v1/text-to-speech/anna?output_format=pcm_24000", json={"text": TEXT, "seed": 1}
            )
            assert eleven.headers["x-voice"] == "anna"
            assert same(np.frombuffer(eleven.content, "<i2"), expected)
            wit = await http.post(
                "/wit/synthesize",
                json={"q": TEXT, "voice": "anna"},
                headers={"Accept": "audio/wav"},
            )
            assert (wit.status_code, wit.headers["x-voice"]) == (200, "anna")
            assert np.any(samples_in(wit.content))
            assert "anna" in (await http.get("/wit/voices")).text
            eleven_list = (await http.get("/v1/voices")).json()["voices"]
            assert [voice["name"] for voice in eleven_list if voice["voice_id"] == id] == ["anna"]
        async with AsyncClient(url) as client:
            assert "anna" in await client.speakers()
            async with client.live(speaker="anna", seed=1, format="pcm") as live:
                await live.send(TEXT)
                await live.end()
                heard = b"".join([chunk.data async for chunk in live])
                assert live.facts["voice"] == "anna"
            assert same(np.frombuffer(heard, "<i2"), expected)
        async with AsyncTcpClient("127.0.0.1", port) as home:
            await home.write_event(Describe().event())
            (program,) = Info.from_event((await hear(home, "info"))[-1]).tts
            assert "anna" in [voice.name for voice in program.voices]
            await say(home, TEXT, SynthesizeVoice(name="anna"))
            assert np.any(np.frombuffer(audio(await hear(home)), "<i2"))


def test_ended_consent_silences_its_voice_alone(base: Path, tmp_path: Path) -> None:
    with house(base, tmp_path) as (url, _):
        saved(url)
        saved(url, "bert", 4)
        spoken(url)
        with OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as sdk:
            of_anna = next(c.id for c in sdk.audio.voice_consents.list() if c.name == "anna")
            sdk.audio.voice_consents.delete(of_anna)
            with pytest.raises(PermissionDeniedError):
                sdk.audio.speech.create(model="tts-1", voice="anna", input=TEXT)
        assert np.any(spoken(url, "bert"))


def test_voices_differ_and_each_stays_the_same(base: Path, tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    with house(base, here) as (url, _):
        id = saved(url)
        saved(url, "bert", 4)
        anna, bert = spoken(url), spoken(url, "bert")
        length = min(anna.size, bert.size)
        difference = np.abs(anna[:length].astype(float) - bert[:length]).mean()
        assert difference > 0.2 * np.abs(anna[:length].astype(float)).mean()
        assert same(spoken(url), anna)
        file = httpx.get(f"{url}{VOICES}/anna/export").content
    with house(base, here) as (url, _):  # after a restart
        assert same(spoken(url), anna)
    with house(base, there) as (url, _):  # on another server
        made = httpx.post(
            f"{url}{VOICES}/import", json={"file": base64.b64encode(file).decode(), "name": "a"}
        )
        assert made.status_code == 201, made.text
        assert same(spoken(url, "a"), anna)
        assert made.json()["id"] == id
    kept, imported = (folder / "voices" / id / "recording.flac" for folder in (here, there))
    assert kept.read_bytes() == imported.read_bytes()
    options = {"default_model": base, "data_dir": here, "models": "tone"}
    with server(tmp_path, **options) as (_, url):  # in another process
        assert same(spoken(url), anna)


def test_codes_of_two_kept_recordings_differ(base: Path, tmp_path: Path) -> None:
    with house(base, tmp_path) as (url, _):
        ids = [saved(url, "anna", 1), saved(url, "bert", 4)]
    entries = {"text": TEXT, "language": "english", "seed": 1, "max_frames": FRAMES}
    made = []
    for id in ids:
        file = str(tmp_path / "voices" / id / "recording.flac")
        request = {**entries, "non_streaming": True, "ref_audio": file, "ref_text": WORDS}
        made.append(trace_speech(base, request, tmp_path)["codes"].numpy())
    shorter = min(len(codes) for codes in made)
    assert (made[0][:shorter] != made[1][:shorter]).mean() > 0.2


async def test_vllm_omni_upload_speaks(base: Path, tmp_path: Path) -> None:
    async with app_client(create_app(settings(base, tmp_path))) as client:
        form = {"name": "custom_voice_1", "consent": "user_consent_id", "ref_text": WORDS}
        file = {"audio_sample": ("voice.wav", recording(1), "audio/wav")}
        assert (await client.post("/v1/audio/voices", data=form, files=file)).json()["success"]
        body = {"input": TEXT, "voice": "custom_voice_1", "task_type": "Base", "seed": 1}
        answer = await client.post("/v1/audio/speech", json={**body, "response_format": "wav"})
        assert (answer.status_code, answer.headers["x-voice"]) == (200, "custom_voice_1")
