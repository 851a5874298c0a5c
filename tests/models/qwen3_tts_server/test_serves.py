"""Qwen3-TTS through the APIs, the command line and the scheduler, on random checkpoints."""

import asyncio
import io
import json
import os
import re
import subprocess
import sys
import wave
from collections.abc import AsyncIterator
from contextlib import aclosing
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

from safetensors.torch import load_file  # noqa: E402 - after the check for it

from tests.conftest import app_client  # noqa: E402
from tests.models.qwen3_tts.whole import whole_checkpoint  # noqa: E402
from vivavoce.api.app import create_app  # noqa: E402
from vivavoce.cli import app as command_line  # noqa: E402
from vivavoce.models.qwen3_tts import QwenOptions  # noqa: E402
from vivavoce.models.qwen3_tts.runtime.model import QwenModel  # noqa: E402
from vivavoce.serving.local import LocalEngine  # noqa: E402
from vivavoce.serving.queue import Limits  # noqa: E402
from vivavoce.settings import Settings  # noqa: E402
from vivavoce.types import Samples, Segment  # noqa: E402

TEXT = "The lamp is on the table."
SPEAKERS = ["serena", "vivian", "uncle_fu", "ryan", "aiden", "ono_anna", "sohee", "eric", "dylan"]
LANGUAGES = [
    "auto", "chinese", "english", "german", "italian", "portuguese", "spanish", "japanese",
    "korean", "french", "russian",
]  # fmt: skip
PHRASES = {
    "chinese": "桌子上有一盏灯。", "english": TEXT, "german": "Die Lampe steht auf dem Tisch.",
    "italian": "La lampada è sul tavolo.", "portuguese": "A lâmpada está na mesa.",
    "spanish": "La lámpara está en la mesa.", "japanese": "ランプはテーブルの上にあります。",
    "korean": "램프는 탁자 위에 있어요.", "french": "La lampe est sur la table.",
    "russian": "Лампа стоит на столе.",
}  # fmt: skip
FRAMES = 15
SECONDS = FRAMES * 0.08


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a checkpoint of each task.

    `Custom` is of the size that follows no instructions.
    """
    folder = tmp_path_factory.mktemp("checkpoints")
    for name, task in (("Custom", "custom_voice"), ("Design", "voice_design"), ("Base", "base")):
        whole_checkpoint(folder / name, task, frames=FRAMES)
    return folder


@pytest.fixture
async def client(checkpoints: Path) -> AsyncIterator[httpx.AsyncClient]:
    """Return a server with a CustomVoice checkpoint by default, and the test model."""
    settings = Settings(
        default_model=str(checkpoints / "Custom"), models=("tone",), isolate_models=False
    )
    async with app_client(create_app(settings)) as client:
        yield client


async def synthesize(client: httpx.AsyncClient, **fields: object) -> httpx.Response:
    return await client.post("/v1/tts/synthesize", json={"text": TEXT, "seed": 1, **fields})


def samples_of(answer: httpx.Response) -> NDArray[np.int16]:
    assert answer.status_code == 200, answer.text
    with wave.open(io.BytesIO(answer.content)) as file:
        assert file.getframerate() == 24_000
        return np.frombuffer(file.readframes(file.getnframes()), "<i2")


async def test_lists_are_those_of_its_configuration(client: httpx.AsyncClient) -> None:
    assert (await client.get("/v1/tts/speakers")).json() == {"speakers": SPEAKERS}
    assert (await client.get("/v1/tts/languages")).json() == {"languages": LANGUAGES}
    voices = (await client.get("/v1/audio/voices", params={"model": "custom"})).json()["voices"]
    named = [voice["id"] for voice in voices if not voice.get("alias_of")]
    assert named == SPEAKERS


@pytest.mark.parametrize("speaker", SPEAKERS)
async def test_every_speaker_answers_by_name(client: httpx.AsyncClient, speaker: str) -> None:
    answer = await synthesize(client, speaker=speaker.title(), language="English")
    assert np.abs(samples_of(answer)).max() > 100
    assert len(samples_of(answer)) / 24_000 == pytest.approx(SECONDS, abs=0.15)
    assert (answer.headers["x-model"], answer.headers["x-voice"]) == ("custom", speaker)


@pytest.mark.parametrize("language", LANGUAGES)
async def test_every_language_is_spoken(client: httpx.AsyncClient, language: str) -> None:
    answer = await synthesize(
        client, text=PHRASES.get(language, TEXT), language=language, model="custom"
    )
    assert len(samples_of(answer)) > 0
    assert answer.headers["x-model"] == "custom"


async def test_openai_client_is_answered_under_its_own_voice_names(
    client: httpx.AsyncClient,
) -> None:
    openai = AsyncOpenAI(api_key="none", base_url="http://vivavoce/v1", http_client=client)
    speech = await openai.audio.speech.create(
        model="tts-1", voice="alloy", input=TEXT, response_format="pcm"
    )
    assert len(speech.content) / 48_000 == pytest.approx(SECONDS, abs=0.15)
    assert speech.response.headers["x-model"] == "custom"
    named = await openai.audio.speech.create(
        model="custom", voice="sohee", input=TEXT, response_format="flac"
    )
    assert named.content.startswith(b"fLaC")
    assert named.response.headers["x-voice"] == "sohee"


@pytest.mark.parametrize("audio_format", ["wav", "pcm", "mp3", "opus", "aac", "flac"])
async def test_every_format_is_streamed(client: httpx.AsyncClient, audio_format: str) -> None:
    answer = await synthesize(client, format=audio_format, stream=True)
    assert answer.status_code == 200
    assert "content-length" not in answer.headers
    assert len(answer.content) > 1000


async def test_stream_and_file_hold_the_same_samples(client: httpx.AsyncClient) -> None:
    whole = samples_of(await synthesize(client))
    streamed = np.frombuffer((await synthesize(client, format="pcm", stream=True)).content, "<i2")
    assert np.abs(whole.astype(int) - streamed).max() <= 4  # 1e-4 of full scale


async def test_eight_clients_at_once_hear_what_each_would_hear_alone(
    client: httpx.AsyncClient,
) -> None:
    wishes = [
        {"text": f"Number {n} of eight.", "speaker": SPEAKERS[n], "seed": n} for n in range(8)
    ]
    together = [
        samples_of(answer)
        for answer in await asyncio.gather(*(synthesize(client, **w) for w in wishes))
    ]
    for wish, heard in zip(wishes, together, strict=True):
        alone = samples_of(await synthesize(client, **wish))
        assert alone.shape == heard.shape
        assert np.abs(alone.astype(int) - heard).max() <= 4
    assert len({heard.tobytes() for heard in together}) == 8


async def test_health_and_models_tell_the_state(client: httpx.AsyncClient) -> None:
    await synthesize(client)
    health = (await client.get("/health")).json()
    assert health["model_loaded"]
    assert health["models"]["custom"] == "ready"
    card = (await client.get("/v1/models/custom")).json()
    assert card["state"] == "ready"


async def test_sampling_of_a_request_is_its_own(client: httpx.AsyncClient) -> None:
    greedy = {"temperature": 0, "subtalker_dosample": False}
    first, second = await asyncio.gather(
        *(synthesize(client, seed=seed, **greedy) for seed in (1, 2))
    )
    sampled = await synthesize(client)
    assert np.abs(samples_of(first).astype(int) - samples_of(second)).max() <= 4
    assert samples_of(first).tobytes() != samples_of(sampled).tobytes()
    openai = AsyncOpenAI(api_key="none", base_url="http://vivavoce/v1", http_client=client)
    options = {"temperature": 0, "subtalker_top_k": 1}
    spoken = await openai.audio.speech.create(
        model="tts-1", voice="ryan", input=TEXT, response_format="wav", extra_body=options
    )
    assert "x-ignored" not in spoken.response.headers


async def test_answer_tells_that_it_was_cut(client: httpx.AsyncClient) -> None:
    cut = await synthesize(client, max_new_tokens=4)
    assert cut.headers["x-finish-reason"] == "truncated"
    assert len(samples_of(cut)) / 24_000 == pytest.approx(4 * 0.08, abs=0.1)
    body = {"input": TEXT, "max_new_tokens": 4, "stream_format": "sse", "response_format": "pcm"}
    events = (await client.post("/v1/audio/speech", json=body)).text.strip().split("\n\n")
    assert json.loads(events[-1].removeprefix("data: "))["finish_reason"] == "truncated"


async def test_missing_checkpoint_says_what_to_do(tmp_path: Path) -> None:
    settings = Settings(
        qwen=(tmp_path / "Not-Here",), models=("tone",), isolate_models=False, load_models="lazy"
    )
    async with app_client(create_app(settings)) as client:
        answer = await synthesize(client, model="not-here")
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "missing_dependency")
        assert "is not there: download a whole checkpoint" in answer.json()["error"]["message"]
        card = (await client.get("/v1/models/not-here")).json()
        assert card["state"] == "missing"
        assert "download" in card["detail"]
        assert (await synthesize(client)).headers["x-model"] == "tone"  # what is there still speaks


async def test_auto_prefers_the_checkpoint_where_it_can_honour_the_request(
    checkpoints: Path,
) -> None:
    settings = Settings(
        qwen=(checkpoints / "Base", checkpoints / "Design", checkpoints / "Custom"),
        models=("tone",),
        isolate_models=False,
    )
    async with app_client(create_app(settings)) as client:
        assert (await synthesize(client)).headers["x-model"] == "custom"
        assert (await synthesize(client, speaker="sohee")).headers["x-model"] == "custom"
        assert (await synthesize(client, speaker="sine")).headers["x-model"] == "tone"
        assert (await synthesize(client, instruct="An old sailor.")).headers["x-model"] == "design"


async def test_instruct_is_named_as_ignored_by_the_size_that_ignores_it(
    client: httpx.AsyncClient,
) -> None:
    answer = await synthesize(client, instruct="Whisper.")
    assert answer.headers["x-ignored"] == "instruct"
    assert np.abs(samples_of(answer).astype(int) - samples_of(await synthesize(client))).max() <= 4


async def test_what_a_checkpoint_cannot_do_is_refused_with_the_way_out(checkpoints: Path) -> None:
    settings = Settings(
        qwen=(checkpoints / "Base", checkpoints / "Design"), models=("tone",), isolate_models=False
    )
    async with app_client(create_app(settings)) as client:
        clone = (await synthesize(client, model="base")).json()["error"]
        assert (clone["code"], clone["field"]) == ("invalid_request", "ref_audio")
        assert "send one in ref_audio" in clone["message"]
        design = await synthesize(client, model="design")
        assert (design.status_code, design.json()["error"]["field"]) == (422, "instruct")
        body = {"model": "design", "voice": "alloy", "input": TEXT}
        openai = await client.post("/v1/audio/speech", json=body)
        assert (openai.status_code, openai.json()["error"]["param"]) == (400, "instructions")
        heard = await client.post(
            "/v1/audio/speech", json={**body, "instructions": "A calm voice."}
        )
        assert heard.status_code == 200
        assert heard.headers["x-voice"] == "alloy"


# -- the command line -----------------------------------------------------------------------------


@pytest.fixture
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.upper().startswith("VIVAVOCE_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("VIVAVOCE_MODELS", "tone")


@pytest.mark.slow
@pytest.mark.usefixtures("bare_environment")
def test_serve_takes_a_folder_as_its_model(checkpoints: Path) -> None:
    command = [
        sys.executable, "-m", "vivavoce", "serve", "--port", "0", "--model",
        str(checkpoints / "Custom"),
    ]  # fmt: skip
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            first, page = process.stdout.readline(), process.stdout.readline()
            assert first.endswith("serves custom, tone\n"), process.communicate()
            url = page.split()[1]
            answer = httpx.post(f"{url}v1/tts/synthesize", json={"text": TEXT}, timeout=60)
            assert answer.headers["x-model"] == "custom"
            assert len(samples_of(answer)) > 0
        finally:
            process.kill()


@pytest.mark.usefixtures("bare_environment")
def test_say_takes_a_folder_as_its_model(checkpoints: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.wav"
    done = CliRunner().invoke(
        command_line, ["say", TEXT, "--model", str(checkpoints / "Custom"), "-o", str(out)]
    )
    assert done.exit_code == 0, done.stderr
    assert "by ryan (custom, en)" in done.stderr
    assert out.stat().st_size > 10_000


@pytest.mark.usefixtures("bare_environment")
def test_models_lists_checkpoints(checkpoints: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIVAVOCE_QWEN", f"{checkpoints / 'Custom'},{checkpoints / 'Gone'}")
    shown = CliRunner().invoke(command_line, ["models", "list"]).stdout
    assert re.search(r"^ok +custom +\S+Custom, custom_voice, [\d.]+ MB$", shown, re.MULTILINE)
    assert re.search(r"^no +gone +no Qwen3-TTS checkpoint in \S+Gone$", shown, re.MULTILINE)


@pytest.mark.usefixtures("bare_environment")
@pytest.mark.parametrize("task", ["custom_voice", "voice_design", "base", "base x-vector"])
def test_trace_writes_every_number(checkpoints: Path, tmp_path: Path, task: str) -> None:
    folder = checkpoints / {"c": "Custom", "v": "Design", "b": "Base"}[task[0]]
    request = {"text": "Hello.", "max_frames": 9, "seed": 1, "task": task.split()[0]}
    request |= {
        "c": {"speaker": "Ryan"},
        "v": {"instruct": "Calm."},
        "b": {"ref_audio": "voice.wav"},
    }[task[0]]
    if task == "base":
        request["ref_text"] = "Some noise."
    elif task[0] == "b":
        request["x_vector_only"] = True
    write_noise(tmp_path / "voice.wav")
    (tmp_path / "request.json").write_text(json.dumps(request), "utf-8")
    arguments = [
        "--checkpoint", folder, "--request", tmp_path / "request.json", "--out", tmp_path / "out",
    ]  # fmt: skip
    done = CliRunner().invoke(command_line, ["trace", *map(str, arguments)])
    assert done.exit_code == 0, done.stderr
    tensors = load_file(tmp_path / "out")
    always = {"prompt", "trailing", "codes", "logits", "waveform"}
    of_a_clone = {
        "base": {"ref_codes", "speaker_embedding"},
        "base x-vector": {"speaker_embedding"},
    }
    assert set(tensors) == always | of_a_clone.get(task, set())
    assert tensors["codes"].shape == (9, 4)
    assert tensors["waveform"].shape == (9 * 1920,)
    assert "waveform           17280" in done.stdout
    if task == "base":
        assert tensors["ref_codes"].shape == (13, 4)  # 1 s in frames of 80 ms


def write_noise(path: Path) -> None:
    """Return a second of stereo noise at 16 kHz."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(
            (np.random.default_rng(0).standard_normal(32_000) * 3000).astype("<i2").tobytes()
        )


@pytest.mark.usefixtures("bare_environment")
@pytest.mark.parametrize(
    ("request_json", "said"),
    [
        ('{"text": "Hi.", "max_frames": 2}', "ref_audio"),
        ('{"text": "Hi.", "ref_audio": "none.wav"}', "none.wav"),
        ("[]", "must be a JSON object"),
        ("{", "cannot be read as JSON"),
    ],
)
def test_trace_request_that_is_wrong_is_one_line(
    checkpoints: Path, tmp_path: Path, request_json: str, said: str
) -> None:
    (tmp_path / "r.json").write_text(request_json, "utf-8")
    arguments = [
        "--checkpoint", checkpoints / "Base", "--request", tmp_path / "r.json", "--out",
        tmp_path / "out",
    ]  # fmt: skip
    done = CliRunner().invoke(command_line, ["trace", *map(str, arguments)])
    assert done.exit_code == 1
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()


# -- the scheduler --------------------------------------------------------------------------------


async def heard(engine: LocalEngine, segment: Segment) -> Samples:
    async with aclosing(engine.speak(segment)) as stream:
        return np.concatenate([chunk.samples async for chunk in stream])


async def test_scheduler_gives_each_its_own_and_takes_back_what_is_cancelled(
    checkpoints: Path,
) -> None:
    model = QwenModel(checkpoints / "Custom", QwenOptions(max_batch=2))
    segments = [Segment(f"Number {n}.", SPEAKERS[n], "en", None, n) for n in range(5)]
    engine = LocalEngine(model)
    await engine.start()
    try:
        alone = [await heard(engine, segment) for segment in segments]
        left = engine.speak(segments[0])
        await anext(left)
        together = asyncio.gather(*(heard(engine, segment) for segment in segments))
        await left.aclose()
        for one, other in zip(alone, await together, strict=True):
            assert one.shape == other.shape
            assert np.abs(one - other).max() <= 1e-4
    finally:
        await engine.aclose()
    assert engine.load.running == 0
    assert model.slots_taken == 0


async def test_listener_that_stops_reading_is_waited_for_without_holding_up_others(
    checkpoints: Path,
) -> None:
    model = QwenModel(checkpoints / "Custom", QwenOptions(max_batch=2))
    slow, quick = Segment("Slow.", "ryan", "en", None, 1), Segment("Quick.", "aiden", "en", None, 2)
    engine = LocalEngine(model, Limits(max_ahead_s=0.2))
    await engine.start()
    try:
        async with aclosing(engine.speak(slow)) as stream:
            parts = [(await anext(stream)).samples]
            first = await heard(engine, quick)  # while the other's audio is not taken
            parts += [chunk.samples async for chunk in stream]
        assert np.abs(np.concatenate(parts) - await heard(engine, slow)).max() <= 1e-4
        assert np.abs(first - await heard(engine, quick)).max() <= 1e-4
    finally:
        await engine.aclose()
