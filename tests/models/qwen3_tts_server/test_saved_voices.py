"""Speak with saved recordings on every API, on a random Base checkpoint."""

import base64
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

for package in ("torch", "safetensors", "tokenizers"):
    pytest.importorskip(
        package,
        reason=f"Qwen3-TTS needs {package}: make test-qwen, or pip install 'vivavoce[qwen]'",
    )

import safetensors.torch  # noqa: E402 - after the check for torch

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
from vivavoce.voices.library import VoiceLibrary  # noqa: E402
from vivavoce.voices.record import Viewer  # noqa: E402

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


async def test_preview_is_the_speech_of_the_voice(client: httpx.AsyncClient) -> None:
    await client.post(VOICES, json=ANNA)
    spoken = samples_of(await synthesize(client, speaker="anna"))
    heard = await client.post(f"{VOICES}/anna/preview", json={"text": TEXT, "seed": 1})
    assert heard.headers["x-synthetic"].startswith("vivavoce;")
    assert (heard.headers["content-type"], heard.headers["x-voice"]) == ("audio/wav", "Anna")
    assert same(samples_of(heard), spoken)
    stated = await client.post(f"{VOICES}/anna/preview", json={"language": "german", "seed": 1})
    assert (stated.status_code, stated.headers["x-language"]) == (200, "de")
    assert not same(samples_of(stated), spoken)


async def test_words_that_come_later_make_the_voice_of_one_with_words(
    client: httpx.AsyncClient, tmp_path: Path
) -> None:
    bare = {**ANNA, "name": "Bare", "ref_text": None}
    before = (await client.post(VOICES, json=bare)).json()["id"]
    without = samples_of(await synthesize(client, speaker="bare"))
    await client.patch(f"{VOICES}/bare", json={"words": WORDS})
    assert forms(tmp_path) == []
    now = samples_of(await synthesize(client, speaker=before))
    assert len(forms(tmp_path)) == 1
    assert not same(now, without)
    await client.delete(f"{VOICES}/bare")
    await client.post(VOICES, json=ANNA)
    assert same(samples_of(await synthesize(client, speaker="anna")), now)


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


# --- prepared forms -------------------------------------------------------------------------------


def forms(folder: Path) -> list[Path]:
    return sorted(folder.glob("voices/*/prepared/*"))


async def test_prepared_form_is_kept_beside_the_recording_and_speaks_the_same(
    checkpoints: Path, tmp_path: Path
) -> None:
    base = checkpoints / "Base"
    settings = Settings(
        default_model=str(base), models=("tone",), isolate_models=False, data_dir=tmp_path
    )
    app = create_app(settings)

    async with app_client(app) as client:

        async def spoken_anew() -> NDArray[np.int16]:
            heard = samples_of(await synthesize(client, speaker="anna"))
            engine = app.state.server.synthesizer.pool.ready["base"]
            engine.inner._voices._ready.clear()  # as after a restart
            return heard

        await client.post(VOICES, json=ANNA)
        first = await spoken_anew()
        (form,) = forms(tmp_path)
        kept, made = form.read_bytes(), form.stat().st_mtime_ns
        assert len(safetensors.torch.load(kept)) == 4
        assert same(await spoken_anew(), first)
        assert form.stat().st_mtime_ns == made
        for damaged in (b"", kept[:-1], kept[:-9] + b"\x7f" + kept[-8:], b"\xff" * 99):
            form.write_bytes(damaged)
            assert same(await spoken_anew(), first)
            assert form.read_bytes() == kept  # made anew, bit for bit
        form.unlink()
        assert same(await spoken_anew(), first)
        assert forms(tmp_path) == [form]
    settings = settings.model_copy(update={"isolate_models": True})
    made = form.stat().st_mtime_ns
    async with app_client(create_app(settings)) as client:  # in a process of its own
        again = samples_of(await synthesize(client, speaker="anna"))
    assert same(again, first)
    assert [path.stat().st_mtime_ns for path in forms(tmp_path)] == [made]


async def test_each_checkpoint_has_a_form_of_its_own(
    checkpoints: Path, tmp_path: Path, client: httpx.AsyncClient
) -> None:
    await client.post(VOICES, json=ANNA)
    assert (await synthesize(client, speaker="anna")).status_code == 200
    other = whole_checkpoint(tmp_path / "Other", "base", frames=FRAMES)
    settings = Settings(
        default_model=str(other), models=("tone",), isolate_models=False, data_dir=tmp_path
    )
    async with app_client(create_app(settings)) as restarted:
        assert (await synthesize(restarted, speaker="anna")).status_code == 200
    assert len(forms(tmp_path)) == 2


@pytest.mark.parametrize("end", ["revoke", "remove", "expire"])
async def test_prepared_form_ends_with_the_recording_on_disk_and_in_memory(
    checkpoints: Path, tmp_path: Path, end: str
) -> None:
    settings = Settings(
        default_model=str(checkpoints / "Base"),
        models=("tone",),
        isolate_models=True,
        data_dir=tmp_path,
    )
    app = create_app(settings)
    async with app_client(app) as client:
        id = (await client.post(VOICES, json=ANNA)).json()["id"]
        assert (await synthesize(client, speaker="anna")).status_code == 200
        engine = app.state.server.synthesizer.pool.ready["base"]
        ready = engine.inner._voices._ready
        assert len(forms(tmp_path)) == len(ready) == 1
        elsewhere = VoiceLibrary(tmp_path / "voices")  # another process of the same folder
        if end == "revoke":
            elsewhere.revoke("anna", Viewer(manages=True))
        elif end == "remove":
            elsewhere.remove("anna", Viewer(manages=True))
        else:
            record = tmp_path / "voices" / id / "voice.json"
            old = {"consent": {**CONSENT, "expires": "2020-01-01"}}
            record.write_text(json.dumps({**json.loads(record.read_bytes()), **old}))
            os.utime(record.parent)
        app.state.server.voices._read_at_s = 0.0  # as half a second later
        status = (await synthesize(client, speaker="anna")).status_code
        assert status == (422 if end == "remove" else 403)
        assert forms(tmp_path) == []
        assert list(ready) == []


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", f"{VOICES}/anna/revoke"),
        ("DELETE", f"{VOICES}/anna"),
        ("DELETE", "/v1/audio/voices/anna"),
        ("DELETE", "/v1/voices/anna"),
    ],
)
async def test_model_forgets_a_voice_at_once_on_every_api(
    checkpoints: Path, tmp_path: Path, method: str, path: str
) -> None:
    settings = Settings(
        default_model=str(checkpoints / "Base"),
        models=("tone",),
        isolate_models=False,
        data_dir=tmp_path,
    )
    app = create_app(settings)
    async with app_client(app) as client:
        await client.post(VOICES, json=ANNA)
        assert (await synthesize(client, speaker="anna")).status_code == 200
        ready = app.state.server.synthesizer.pool.ready["base"].inner._voices._ready
        assert len(ready) == 1
        assert (await client.request(method, path)).status_code == 200
        assert len(ready) == 0


async def test_form_that_cannot_be_kept_changes_nothing(
    checkpoints: Path, tmp_path: Path, client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    id = (await client.post(VOICES, json=ANNA)).json()["id"]
    (tmp_path / "voices" / id / "prepared").write_bytes(b"a file")
    assert (await synthesize(client, speaker="anna")).status_code == 200
    assert "a restart prepares the voice again" in caplog.text
    assert (await client.post(f"{VOICES}/anna/revoke")).status_code == 200
