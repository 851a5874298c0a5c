"""Check saved voices through the application: who may do what, and where they show."""

import base64
import os
import resource
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest

from tests.conftest import app_client, tone_pool
from tests.permissions import bound_by_permissions
from vivavoce.api.app import create_app
from vivavoce.audio import wav_bytes
from vivavoce.keys import FILE_NAME, KeyFile
from vivavoce.settings import Settings

VOICES, SPEAK = "/v1/tts/voices", "/v1/tts/synthesize"
CONSENT = {"by": "Anna Lind", "words": "You may use my voice."}
NOISE = np.random.default_rng(1).normal(0, 0.1, 96_000).astype(np.float32)
SPOKEN = base64.b64encode(wav_bytes(NOISE, 24_000)).decode()
MIX = {"name": "warm", "formula": "af_bella(2)+af_sky(1)"}
CLONE = {"name": "anna", "ref_audio": SPOKEN, "ref_text": "Some words.", "consent": CONSENT}


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(Settings(data_dir=tmp_path), tone_pool())
    async with app_client(app) as client:
        yield client


@pytest.fixture
def keys(tmp_path: Path) -> dict[str, dict[str, str]]:
    """Make three keys, and return their headers."""
    file = KeyFile(tmp_path / FILE_NAME)
    made = {name: file.create(name) for name in ("one", "two")}
    made["boss"] = file.create("boss", ("speak", "manage"))
    return {name: {"Authorization": f"Bearer {key}"} for name, key in made.items()}


def error(answer: httpx.Response) -> tuple[int, str, str | None]:
    said = answer.json()["error"]
    return answer.status_code, said["code"], said["field"]


async def test_mix_is_saved_read_changed_and_removed(server: httpx.AsyncClient) -> None:
    made = await server.post(VOICES, json={**MIX, "labels": {"mood": "calm"}})
    assert made.status_code == 201, made.text
    voice = made.json()
    assert (voice["kind"], voice["languages"], voice["gender"]) == ("mixed", ["en"], "female")
    assert voice["formula"] == "af_bella(0.666666667)+af_sky(0.333333333)"
    assert (await server.get(VOICES)).json()["voices"] == [voice]
    for name in ("warm", "WARM", voice["id"]):
        assert (await server.get(f"{VOICES}/{name}")).json() == voice
    changed = await server.patch(f"{VOICES}/warm", json={"name": "warmer", "description": "New."})
    assert (changed.json()["name"], changed.json()["id"]) == ("warmer", voice["id"])
    assert error(await server.get(f"{VOICES}/warm")) == (404, "voice_not_found", "voice_id")
    assert (await server.delete(f"{VOICES}/warmer")).json()["id"] == voice["id"]
    assert (await server.get(VOICES)).json()["voices"] == []


@pytest.mark.parametrize(
    ("fields", "status", "field"),
    [
        ({"formula": "af_bella(nan)"}, 422, "formula"),
        ({"formula": "af_bella(1)-af_bella(1)"}, 422, "formula"),
        ({"formula": "af_bella(1)+nobody(1)"}, 404, "formula"),
        ({"formula": "x" * 2_000}, 422, "formula"),
        ({"formula": None}, 422, "formula"),
        ({"ref_audio": SPOKEN}, 422, "formula"),
        ({"name": "../../etc/passwd"}, 422, "name"),
        ({"name": "wаrm"}, 422, "name"),
        ({"name": "x" * 10_000}, 422, "name"),
        ({"name": "af_bella"}, 422, "name"),
        ({"name": "sine"}, 422, "name"),
        ({"name": "auto"}, 422, "name"),
        ({"name": "Heart"}, 422, "name"),
        ({"languages": ["klingonese"]}, 422, "languages"),
        ({"labels": {"x": "y" * 500}}, 422, "labels"),
        ({"description": "\x1b[2J"}, 422, "description"),
        ({"nonsense": 1}, 422, "nonsense"),
    ],
)
async def test_bad_voice_is_refused_and_leaves_nothing(
    server: httpx.AsyncClient, tmp_path: Path, fields: dict[str, object], status: int, field: str
) -> None:
    answer = await server.post(VOICES, json={**MIX, **fields})
    assert (error(answer)[0], error(answer)[2]) == (status, field), answer.text
    assert not (tmp_path / "voices").exists()


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"consent": None}, "consent"),
        ({"consent": {"by": "", "words": ""}}, "consent"),
        ({"consent": {"by": "Anna", "words": "Yes.", "expires": "soon"}}, "consent"),
        ({"ref_audio": "http://host/x.wav"}, "ref_audio"),
        ({"ref_audio": base64.b64encode(b"no audio" * 99).decode()}, "ref_audio"),
        ({"ref_audio": base64.b64encode(wav_bytes(NOISE[:9_000], 24_000)).decode()}, "ref_audio"),
    ],
)
async def test_bad_recording_is_refused_and_leaves_nothing(
    server: httpx.AsyncClient, tmp_path: Path, fields: dict[str, object], field: str
) -> None:
    answer = await server.post(VOICES, json={**CLONE, **fields})
    assert (answer.status_code, error(answer)[2]) == (422, field), answer.text
    assert not (tmp_path / "voices").exists()


async def test_recording_is_checked_before_it_is_saved(
    server: httpx.AsyncClient, tmp_path: Path
) -> None:
    path = f"{VOICES}/check"
    checked = (await server.post(path, json={"ref_audio": SPOKEN})).json()
    assert checked["duration_s"] == pytest.approx(4, abs=0.05)
    assert [warning[:10] for warning in checked["warnings"]] == ["very noisy"]
    assert checked["warnings"] == (await server.post(VOICES, json=CLONE)).json()["warnings"]
    short = base64.b64encode(wav_bytes(NOISE[:9_000], 24_000)).decode()
    for wrong in ({"ref_audio": short}, {"ref_audio": "!"}, {}):
        answer = await server.post(path, json=wrong)
        assert (answer.status_code, error(answer)[2]) == (422, "ref_audio"), answer.text


async def test_recording_without_a_base_checkpoint_says_how_to_get_one(
    server: httpx.AsyncClient,
) -> None:
    made = await server.post(VOICES, json=CLONE)
    assert made.status_code == 201, made.text
    assert made.json()["warnings"][0].startswith("very noisy")
    refused = await server.post(SPEAK, json={"text": "Hello.", "speaker": "Anna"})
    assert error(refused) == (422, "unsupported", "speaker")
    assert "vivavoce models pull Qwen/Qwen3-TTS-12Hz-0.6B-Base" in refused.text


async def test_revoked_voice_is_403_everywhere(server: httpx.AsyncClient, tmp_path: Path) -> None:
    id = (await server.post(VOICES, json=CLONE)).json()["id"]
    revoked = (await server.post(f"{VOICES}/anna/revoke")).json()
    assert revoked["ended"].startswith("its consent was revoked")
    assert revoked["consent"]["by"] == "Anna Lind"
    assert not (tmp_path / "voices" / id / "recording.flac").exists()
    body = {"text": "Hello.", "speaker": "anna"}
    for answer in (
        await server.post(SPEAK, json=body),
        await server.get(SPEAK, params=body),
        await server.get(SPEAK, params=body, headers={"Range": "bytes=0-9"}),
        await server.post("/v1/tts/explain", json=body),
        await server.post(SPEAK, json={"inputs": [{"text": "A.", "speaker": "sine"}, body]}),
        await server.get(f"{VOICES}/anna/export"),
        await server.post(VOICES, json=CLONE),
    ):
        assert error(answer)[:2] == (403, "consent_ended"), answer.text
    openai = {"input": "Hello.", "voice": "anna", "model": "tts-1"}
    assert (await server.post("/v1/audio/speech", json=openai)).status_code == 403
    eleven = await server.post("/v1/text-to-speech/anna", json={"text": "Hello."})
    assert eleven.status_code == 403, eleven.text


async def test_keys_have_voices_of_their_own(
    tmp_path: Path, keys: dict[str, dict[str, str]]
) -> None:
    async with app_client(create_app(Settings(data_dir=tmp_path), tone_pool())) as server:
        one, two, boss = (keys[name] for name in ("one", "two", "boss"))
        assert (await server.get(VOICES)).status_code == 401
        id = (await server.post(VOICES, json=MIX, headers=one)).json()["id"]
        assert (await server.get(VOICES, headers=two)).json()["voices"] == []
        for name in (id, "warm"):
            for answer in (
                await server.get(f"{VOICES}/{name}", headers=two),
                await server.patch(f"{VOICES}/{name}", json={"name": "mine"}, headers=two),
                await server.delete(f"{VOICES}/{name}", headers=two),
                await server.post(f"{VOICES}/{name}/revoke", headers=two),
                await server.get(f"{VOICES}/{name}/export", headers=two),
                await server.post(f"{VOICES}/{name}/preview", json={}, headers=two),
                await server.put(f"{VOICES}/{name}/consent", json=CONSENT, headers=two),
                await server.post(SPEAK, json={"text": "Hi.", "speaker": name}, headers=two),
            ):
                assert answer.status_code == 404, answer.text
        shared = {**MIX, "shared": True, "name": "all"}
        assert error(await server.post(VOICES, json=shared, headers=one))[0] == 403
        assert len((await server.get(VOICES, headers=boss)).json()["voices"]) == 1
        await server.patch(f"{VOICES}/{id}", json={"shared": True}, headers=boss)
        assert (await server.get(VOICES, headers=two)).json()["voices"][0]["name"] == "warm"
        assert error(await server.delete(f"{VOICES}/warm", headers=two))[:2] == (
            403,
            "missing_scope",
        )
        assert (await server.delete(f"{VOICES}/warm", headers=one)).status_code == 200


async def test_voice_is_the_same_after_export_and_import(server: httpx.AsyncClient) -> None:
    voice = (await server.post(VOICES, json=CLONE)).json()
    file = await server.get(f"{VOICES}/anna/export")
    assert file.headers["content-type"] == "application/zip"
    await server.delete(f"{VOICES}/anna")
    sent = {"file": base64.b64encode(file.content).decode(), "name": "anna2"}
    back = await server.post(f"{VOICES}/import", json=sent)
    assert back.status_code == 201, back.text
    assert (back.json()["id"], back.json()["name"]) == (voice["id"], "anna2")
    for bad in ("!", base64.b64encode(b"PK\3\4").decode()):
        assert error(await server.post(f"{VOICES}/import", json={"file": bad}))[2] == "file"


async def test_formula_needs_a_model_that_mixes(server: httpx.AsyncClient) -> None:
    refused = await server.post(SPEAK, json={"text": "Hello.", "speaker": "sine(2)+buzz(1)"})
    assert error(refused) == (422, "unsupported", "speaker"), refused.text
    assert "vivavoce models pull kokoro" in refused.text
    wrong = await server.post(SPEAK, json={"text": "Hello.", "speaker": "sine(nan)+buzz"})
    assert error(wrong) == (422, "invalid_request", "speaker")


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Let longer files fail, as on a full disk. Python ignores the signal that would end it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_full_disk_is_told_and_leaves_nothing(
    server: httpx.AsyncClient, tmp_path: Path
) -> None:
    with files_of_at_most(20_000):
        full = await server.post(VOICES, json=CLONE)
        assert error(full)[:2] == (503, "no_room")
        assert "make room there" in full.json()["error"]["message"]
        assert [path.name for path in (tmp_path / "voices").iterdir()] == [".names"]
        assert (await server.post(VOICES, json=MIX)).status_code == 201  # a small one fits
        assert (await server.post(SPEAK, json={"text": "Hello."})).status_code == 200
    with files_of_at_most(10):
        changed = await server.patch(f"{VOICES}/warm", json={"description": "x" * 900})
        assert error(changed)[:2] == (503, "no_room")
    assert (await server.get(f"{VOICES}/warm")).json()["description"] == ""
    made = (await server.post(VOICES, json=CLONE)).json()
    with files_of_at_most(10):
        for changed in (
            await server.patch(f"{VOICES}/anna", json={"words": "Others."}),
            await server.put(f"{VOICES}/anna/consent", json=CONSENT),
        ):
            assert error(changed)[:2] == (503, "no_room")
    assert (await server.get(f"{VOICES}/anna")).json() == {**made, "warnings": []}
    assert (await server.patch(f"{VOICES}/anna", json={"words": "Others."})).status_code == 200


def test_folder_that_cannot_be_written_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    (folder := tmp_path / "data").mkdir()
    folder.chmod(0o555)
    command = [*bound_by_permissions(), "-m", "vivavoce", "voices", "mix", "warm", "af_bella(1)"]
    environment = os.environ | {"VIVAVOCE_DATA_DIR": str(folder)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "Permission denied" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(folder.iterdir()) == []


async def test_recording_makes_room_for_the_end_of_its_consent(
    server: httpx.AsyncClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = (await server.post(VOICES, json=CLONE)).json()["id"]
    recording, opened = tmp_path / "voices" / id / "recording.flac", os.open

    def full(path: str | Path, flags: int, *more: int) -> int:
        if flags & os.O_CREAT and recording.exists():
            raise OSError(28, "No space left on device")
        return opened(path, flags, *more)

    monkeypatch.setattr(os, "open", full)
    assert (await server.post(f"{VOICES}/anna/revoke")).status_code == 200
    refused = await server.post(SPEAK, json={"text": "Hello.", "speaker": "anna"})
    assert error(refused)[:2] == (403, "consent_ended")


async def test_recording_that_cannot_be_erased_harms_no_other_voice(
    server: httpx.AsyncClient, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    id = (await server.post(VOICES, json=CLONE)).json()["id"]
    await server.post(VOICES, json=MIX)
    recording = tmp_path / "voices" / id / "recording.flac"
    recording.unlink()
    recording.mkdir()  # which cannot be unlinked, as nothing can in a read-only folder
    refused = await server.post(f"{VOICES}/anna/revoke")
    assert error(refused)[:2] == (503, "no_room")
    assert "erase it yourself" in refused.json()["error"]["message"]
    for _ in range(2):
        assert len((await server.get(VOICES)).json()["voices"]) == 2
        assert (await server.get("/v1/audio/voices")).status_code == 200
        assert (await server.post(SPEAK, json={"text": "A.", "speaker": "sine"})).status_code == 200
    assert error(await server.post(SPEAK, json={"text": "A.", "speaker": "anna"}))[0] == 403
    assert caplog.text.count("erase it yourself") == 1
    recording.rmdir()
    assert (await server.post(f"{VOICES}/anna/revoke")).status_code == 200
