"""Cloning through both APIs, the client and the command line, on a random Base checkpoint."""

import asyncio
import base64
import io
import re
import wave
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from openai import AsyncOpenAI
from typer.testing import CliRunner

for package in ("torch", "safetensors", "tokenizers"):
    pytest.importorskip(
        package,
        reason=f"Qwen3-TTS needs {package}: make test-qwen, or pip install 'vivavoce[qwen]'",
    )

from tests.conftest import app_client, serving  # noqa: E402 - after the check for torch
from tests.decoding import wav_samples  # noqa: E402
from tests.models.qwen3_tts.codec_checkpoints import voice_like  # noqa: E402
from tests.models.qwen3_tts.whole import whole_checkpoint  # noqa: E402
from vivavoce.api.app import create_app  # noqa: E402
from vivavoce.audio import wav_bytes  # noqa: E402
from vivavoce.cli import app as command_line  # noqa: E402
from vivavoce.client import AsyncClient  # noqa: E402
from vivavoce.models.qwen3_tts.tools.recorder import trace_speech  # noqa: E402
from vivavoce.settings import Settings  # noqa: E402

TEXT = "The lamp is on the table."
WORDS = "Some words."
FRAMES = 12
SECONDS = FRAMES * 0.08


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoints")
    for name, task in (("Custom", "custom_voice"), ("Base", "base")):
        whole_checkpoint(folder / name, task, frames=FRAMES)
    return folder


@pytest.fixture
async def client(checkpoints: Path) -> AsyncIterator[httpx.AsyncClient]:
    """Return a server with a CustomVoice, a Base checkpoint and the test model."""
    settings = Settings(
        default_model=str(checkpoints / "Custom"),
        qwen=(checkpoints / "Base",),
        models=("tone",),
        isolate_models=False,
    )
    async with app_client(create_app(settings)) as client:
        yield client


def recording(seed: int) -> bytes:
    """Return 1.5 s like a voice, or of noise if `seed` is even.

    Small random models distinguish the two.
    """
    noise = np.random.default_rng(seed).normal(0, 0.3, 36_000).clip(-1, 1).astype(np.float32)
    return wav_bytes(voice_like(36_000, seed).numpy() if seed % 2 else noise, 24_000)


def encoded(seed: int) -> str:
    return base64.b64encode(recording(seed)).decode()


async def synthesize(client: httpx.AsyncClient, **fields: object) -> httpx.Response:
    return await client.post("/v1/tts/synthesize", json={"text": TEXT, "seed": 1, **fields})


def samples_of(answer: httpx.Response) -> NDArray[np.int16]:
    assert answer.status_code == 200, answer.text
    return samples_in(answer.content)


def samples_in(wav: bytes) -> NDArray[np.int16]:
    with wave.open(io.BytesIO(wav)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2")


def same(one: NDArray[np.int16], other: NDArray[np.int16]) -> bool:
    return (
        one.shape == other.shape and int(np.abs(one.astype(int) - other).max()) <= 4
    )  # 1e-4 of full scale


@pytest.mark.parametrize("fields", [{}, {"ref_text": WORDS}])
async def test_recording_is_spoken_with_whole_and_streamed(
    client: httpx.AsyncClient, fields: dict[str, str]
) -> None:
    cloned = {"ref_audio": encoded(1), **fields}
    whole = await synthesize(client, **cloned)
    assert (whole.headers["x-model"], whole.headers["x-voice"]) == ("base", "clone")
    assert len(samples_of(whole)) / 24_000 == pytest.approx(SECONDS, abs=0.15)
    streamed = await synthesize(client, format="pcm", stream=True, **cloned)
    assert same(samples_of(whole), np.frombuffer(streamed.content, "<i2"))
    assert not same(
        samples_of(whole),
        samples_of(await synthesize(client, **{**cloned, "ref_audio": encoded(4)})),
    )


async def test_words_and_x_vector_only_settle_what_is_taken_from_a_recording(
    client: httpx.AsyncClient,
) -> None:
    both = {"ref_audio": encoded(1), "ref_text": WORDS}
    plain, in_context, told, as_qwen_says = [
        samples_of(await synthesize(client, **fields))
        for fields in (
            {"ref_audio": encoded(1)}, both, {**both, "x_vector_only": True},
            {**both, "x_vector_only_mode": True}
        )
    ]  # fmt: skip
    assert same(plain, told)
    assert same(plain, as_qwen_says)
    assert not same(plain, in_context)


async def test_eight_voices_at_once_are_what_each_is_alone(client: httpx.AsyncClient) -> None:
    wishes: list[dict[str, object]] = [
        {
            "text": f"Number {n} of eight.",
            "ref_audio": encoded(n),
            "seed": n,
            **({"ref_text": WORDS} if n % 2 else {}),
        }
        for n in range(8)
    ]
    together = [
        samples_of(answer)
        for answer in await asyncio.gather(*(synthesize(client, **w) for w in wishes))
    ]
    for wish, heard in zip(wishes, together, strict=True):
        assert same(heard, samples_of(await synthesize(client, **wish)))
    assert len({heard.tobytes() for heard in together}) == 8


async def test_speech_is_that_of_the_trace(
    client: httpx.AsyncClient, checkpoints: Path, tmp_path: Path
) -> None:
    (tmp_path / "voice.wav").write_bytes(recording(1))
    request = {
        "text": TEXT, "language": "english", "seed": 1, "max_frames": FRAMES, "non_streaming": True,
    }  # fmt: skip
    request |= {"ref_audio": "voice.wav", "ref_text": WORDS}
    expected = trace_speech(checkpoints / "Base", request, tmp_path)["waveform"].numpy()
    cloned = {"ref_audio": encoded(1), "ref_text": WORDS, "language": "English"}
    heard = samples_of(await synthesize(client, **cloned)) / 2**15
    heard = heard[1_200:-1_200]  # its edges are faded, and the silence around them is cut off
    beginnings = np.lib.stride_tricks.sliding_window_view(expected, 100)
    start = int(np.abs(beginnings - heard[:100]).max(axis=1).argmin())
    assert len(heard) > 0.8 * len(expected)
    assert np.abs(expected[start : start + len(heard)] - heard).max() <= 2e-4


async def test_long_text_keeps_its_voice_in_every_segment(client: httpx.AsyncClient) -> None:
    text = (
        "This is a sentence that is long enough to be spoken for itself, and a little longer. " * 4
    )
    cloned = {"text": text, "ref_audio": encoded(1), "ref_text": WORDS}
    heard = samples_of(await synthesize(client, **cloned))
    assert len(heard) / 24_000 > 2.5 * SECONDS
    assert same(heard, samples_of(await synthesize(client, **cloned)))
    assert not same(
        heard, samples_of(await synthesize(client, **{**cloned, "ref_audio": encoded(4)}))
    )


async def test_openai_client_clones_with_extra_fields(client: httpx.AsyncClient) -> None:
    openai = AsyncOpenAI(api_key="none", base_url="http://vivavoce/v1", http_client=client)
    extra = {"ref_audio": f"data:audio/wav;base64,{encoded(1)}", "ref_text": WORDS, "seed": 1}
    speech = await openai.audio.speech.create(
        model="tts-1", voice="alloy", input=TEXT, response_format="wav", extra_body=extra
    )
    assert speech.response.headers["x-model"] == "base"
    assert speech.response.headers["x-ignored"] == "voice"
    native = samples_of(await synthesize(client, ref_audio=encoded(1), ref_text=WORDS))
    assert same(wav_samples(speech.content), native)


async def test_refusals_name_the_field_and_the_way_out(client: httpx.AsyncClient) -> None:
    for fields, field, says in (
        ({"model": "base"}, "ref_audio", "send one in ref_audio"),
        (
            {"model": "custom", "ref_audio": encoded(1)},
            "ref_audio",
            "'custom' clones no voice: .* choose 'base'",
        ),
        ({"model": "tone", "ref_audio": encoded(1)}, "ref_audio", "choose 'base'"),
        (
            {"ref_audio": encoded(1), "ref_text": "w" * 300},
            "ref_text",
            "300 tokens, the limit is 256",
        ),
    ):
        answer = await synthesize(client, **fields)
        error = answer.json()["error"]
        assert (answer.status_code, error["field"]) == (422, field), error
        assert re.search(says, error["message"]), error


async def test_without_a_recording_other_models_answer_as_before(client: httpx.AsyncClient) -> None:
    assert (await synthesize(client)).headers["x-model"] == "custom"
    speakers = (await client.get("/v1/tts/speakers", params={"model": "auto"})).json()["speakers"]
    assert "clone" not in speakers


async def test_python_client_sends_a_file_or_bytes(checkpoints: Path, tmp_path: Path) -> None:
    file = tmp_path / "voice.wav"
    file.write_bytes(recording(1))
    app = create_app(Settings(qwen=(checkpoints / "Base",), models=("tone",), isolate_models=False))
    async with (
        app.router.lifespan_context(app),
        AsyncClient("http://test", transport=httpx.ASGITransport(app)) as client,
    ):
        one = await client.speak(TEXT, seed=1, ref_audio=file, ref_text=WORDS)
        other = await client.speak(TEXT, seed=1, ref_audio=recording(1), ref_text=WORDS)
        assert one.model == other.model == "base"
        assert same(samples_in(one.data), samples_in(other.data))
        async with client.stream(
            TEXT, seed=1, format="pcm", ref_audio=file, x_vector_only=True
        ) as speech:
            assert sum([len(chunk) async for chunk in speech]) / 48_000 == pytest.approx(
                SECONDS, abs=0.15
            )


@pytest.mark.slow
def test_say_clones_here_and_through_a_server(
    checkpoints: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIVAVOCE_MODELS", "tone")
    (tmp_path / "voice.wav").write_bytes(recording(1))
    said = [
        "say", TEXT, "--seed", "1", "--ref-audio", str(tmp_path / "voice.wav"), "--ref-text", WORDS,
        "-o",
    ]  # fmt: skip
    here, there = tmp_path / "here.wav", tmp_path / "there.wav"
    done = CliRunner().invoke(
        command_line, [*said, str(here), "--model", str(checkpoints / "Base")]
    )
    assert done.exit_code == 0, done.stderr
    assert "by clone (base, en)" in done.stderr
    with serving(
        create_app(Settings(qwen=(checkpoints / "Base",), models=("tone",), isolate_models=False))
    ) as url:
        done = CliRunner().invoke(command_line, [*said, str(there), "--server", url])
    assert done.exit_code == 0, done.stderr
    assert same(*(wav_samples(path.read_bytes()) for path in (here, there)))
