"""Check OpenAI's custom voices and consents, and vLLM-Omni's uploads, by the SDK and forms."""

import base64
import json
import random
import struct
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from openai import BadRequestError, NotFoundError, OpenAI, PermissionDeniedError
from openai.pagination import SyncCursorPage
from openai.types.audio.voice import Voice

from tests.api.test_voices import NOISE, VOICES, keys
from tests.conftest import app_client, serving, tone_pool
from vivavoce.api.app import create_app
from vivavoce.audio import wav_bytes
from vivavoce.settings import Settings

__all__ = ["keys"]  # a fixture

CUSTOM, CONSENTS, SPEECH = "/v1/audio/voices", "/v1/audio/voice_consents", "/v1/audio/speech"
WAV = wav_bytes(NOISE, 24_000)
SAMPLE = ("anna.wav", WAV, "audio/wav")
MIX = {"name": "warm", "formula": "af_bella(2)+af_sky(1)"}


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with app_client(create_app(Settings(data_dir=tmp_path), tone_pool())) as client:
        yield client


@pytest.fixture
def sdk(tmp_path: Path) -> Iterator[OpenAI]:
    with (
        serving(create_app(Settings(data_dir=tmp_path), tone_pool())) as url,
        OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client,
    ):
        yield client


def files_in(folder: Path) -> list[str]:
    """Return what is kept of voices and consents, for a server has other files too."""
    kept = (folder / "voices", folder / "consents")
    return sorted(str(path) for place in kept for path in place.rglob("*"))


def error(answer: httpx.Response) -> tuple[int, str, str | None]:
    said = answer.json()["error"]
    assert said.keys() == {"message", "type", "param", "code"}
    return answer.status_code, said["code"], said["param"]


async def upload(server: httpx.AsyncClient, sample: bytes = WAV, **fields: str) -> httpx.Response:
    data = {"name": "anna", "consent": "letter-17", **fields}
    return await server.post(CUSTOM, data=data, files={"audio_sample": ("a.wav", sample)})


# --- OpenAI ---------------------------------------------------------------------------------------


def test_openai_sdk_keeps_a_consent_and_makes_a_voice_with_it(sdk: OpenAI, tmp_path: Path) -> None:
    consent = sdk.audio.voice_consents.create(name="Anna Lind", language="en-US", recording=SAMPLE)
    assert (consent.object, consent.name, consent.language) == (
        "audio.voice_consent",
        "Anna Lind",
        "en-US",
    )
    assert sdk.audio.voice_consents.retrieve(consent.id) == consent
    voice = sdk.audio.voices.create(name="anna", audio_sample=SAMPLE, consent=consent.id)
    assert (voice.object, voice.name, voice.type) == ("audio.voice", "anna", "audio_sample")
    assert voice.created_at >= consent.created_at > 1.7e9
    kept = json.loads((tmp_path / "voices" / voice.id / "voice.json").read_bytes())
    assert kept["consent"] == {
        "by": "Anna Lind",
        "words": f"As said in the recording {consent.id} (en-US).",
        "scope": "",
        "expires": None,
        "recorded": consent.id,
    }
    listed = sdk.get("/audio/voices", cast_to=SyncCursorPage[Voice])
    assert [one.id for one in listed] == [voice.id]
    assert sdk.get(f"/audio/voices/{voice.id}", cast_to=Voice).name == "anna"
    renamed = sdk.audio.voice_consents.update(consent.id, name="Anna")
    assert (renamed.id, renamed.name) == (consent.id, "Anna")
    gone = sdk.audio.voices.delete(voice.id)
    assert (gone.id, gone.deleted, gone.object) == (voice.id, True, "audio.voice.deleted")
    assert sdk.audio.voice_consents.retrieve(consent.id).name == "Anna"
    with pytest.raises(NotFoundError, match="no voice"):
        sdk.audio.voices.delete(voice.id)


def test_openai_sdk_ends_a_consent_and_so_its_voices(sdk: OpenAI, tmp_path: Path) -> None:
    consent = sdk.audio.voice_consents.create(name="Anna", language="de", recording=SAMPLE)
    voice = sdk.audio.voices.create(name="anna", audio_sample=SAMPLE, consent=consent.id)
    assert sdk.audio.voice_consents.delete(consent.id).deleted
    for name in ("anna", voice.id):
        with pytest.raises(PermissionDeniedError) as refused:
            sdk.audio.speech.create(model="tts-1", voice=name, input="Hello.")
        assert refused.value.code == "consent_ended"
    with pytest.raises(NotFoundError) as missing:
        sdk.audio.voices.create(name="again", audio_sample=SAMPLE, consent=consent.id)
    assert (missing.value.code, missing.value.param) == ("consent_not_found", "consent")
    for absent in (
        lambda: sdk.audio.voice_consents.retrieve(consent.id),
        lambda: sdk.audio.voice_consents.update(consent.id, name="x"),
        lambda: sdk.audio.voice_consents.delete(consent.id),
    ):
        with pytest.raises(NotFoundError):
            absent()
    assert list(sdk.audio.voice_consents.list()) == []
    left = {path.name for path in tmp_path.glob("*s/*/*")}
    assert left == {"voice.json", "consent.json", "revoked.json"}


def test_openai_sdk_reads_consents_page_by_page_newest_first(sdk: OpenAI) -> None:
    made = [
        sdk.audio.voice_consents.create(name=f"{i}", language="en", recording=SAMPLE).id
        for i in range(5)
    ]
    page = sdk.audio.voice_consents.list(limit=2)
    assert (len(page.data), page.has_more) == (2, True)
    assert [consent.id for consent in page] == made[::-1]
    with pytest.raises(NotFoundError):
        sdk.audio.voice_consents.list(after="cons_none")
    with pytest.raises(BadRequestError):
        sdk.audio.voice_consents.list(limit=101)


def test_openai_sdk_is_told_how_to_get_a_designer(sdk: OpenAI) -> None:
    with pytest.raises(BadRequestError) as refused:
        sdk.audio.voices.create(name="calm", type="prompt", prompt="A calm old man.")
    assert (refused.value.code, refused.value.param) == ("unsupported", "prompt")
    assert "vivavoce models pull Qwen/Qwen3-TTS-12Hz-1.7B-VoiceDesign" in refused.value.message
    for body in ({"name": "calm", "prompt": "A man."}, {"name": "calm", "type": "prompt"}):
        with pytest.raises(BadRequestError, match=r"'prompt' is missing|VoiceDesign"):
            sdk.post("/audio/voices", body=body, cast_to=object)


async def test_formula_is_saved_from_json_and_from_a_form(server: httpx.AsyncClient) -> None:
    made = await server.post(CUSTOM, json=MIX)
    assert made.status_code == 200, made.text
    assert made.json()["type"] == "formula"
    form = {name: (None, value) for name, value in {**MIX, "type": "formula"}.items()}
    again = await server.post(CUSTOM, files=form)
    assert again.json() == made.json()
    native = (await server.get(f"{VOICES}/warm")).json()
    assert (native["id"], native["languages"], native["gender"]) == (
        made.json()["id"],
        ["en"],
        "female",
    )


# --- vLLM-Omni and Open WebUI ---------------------------------------------------------------------


async def test_vllm_omni_form_saves_a_voice_and_delete_takes_its_name(
    server: httpx.AsyncClient,
) -> None:
    described = {"ref_text": "Some words.", "speaker_description": "A warm narrator."}
    made = await upload(server, **described)
    assert made.status_code == 200, made.text
    told = made.json()
    assert told["success"] is True
    expected = {
        "name": "anna",
        "consent": "letter-17",
        "created_at": told["created_at"],
        "mime_type": "audio/flac",
        "file_size": told["voice"]["file_size"],
        **described,
    }
    assert told["voice"] == expected
    assert told["voice"]["file_size"] > 10_000
    listed = (await server.get(CUSTOM)).json()
    assert listed["uploaded_voices"] == [expected]
    native = (await server.get(f"{VOICES}/anna")).json()
    assert (native["words"], native["description"]) == tuple(described.values())
    assert native["consent"]["by"] == "letter-17"
    gone = await server.delete(f"{CUSTOM}/Anna")
    assert (gone.status_code, gone.json()["success"]) == (200, True)
    assert error(await server.delete(f"{CUSTOM}/anna"))[:2] == (404, "voice_not_found")
    bare = (await upload(server)).json()["voice"]
    assert "ref_text" not in bare
    assert "speaker_description" not in bare


async def test_list_has_what_open_webui_reads(server: httpx.AsyncClient) -> None:
    await upload(server)
    listed = (await server.get(CUSTOM)).json()
    assert (listed["object"], listed["has_more"]) == ("list", False)
    assert all(
        isinstance(one["id"], str) and isinstance(one["name"], str) for one in listed["voices"]
    )
    assert "sine" in [one["id"] for one in listed["voices"]]
    assert listed["first_id"] == listed["last_id"] == listed["data"][0]["id"]


# --- who may --------------------------------------------------------------------------------------


async def test_keys_have_consents_and_voices_of_their_own(
    tmp_path: Path, keys: dict[str, dict[str, str]]
) -> None:
    async with app_client(create_app(Settings(data_dir=tmp_path), tone_pool())) as server:
        one, two, boss = (keys[name] for name in ("one", "two", "boss"))
        recording = {"recording": SAMPLE}
        words = {"name": "Anna", "language": "en"}
        assert (await server.get(CONSENTS)).status_code == 401
        assert (await server.post(CONSENTS, data=words, files=recording)).status_code == 401
        made = await server.post(CONSENTS, data=words, files=recording, headers=one)
        consent = f"{CONSENTS}/{made.json()['id']}"
        form = {"name": "anna", "consent": made.json()["id"]}
        sample = {"audio_sample": SAMPLE}
        assert (await server.get(CONSENTS, headers=two)).json()["data"] == []
        theirs = await server.post(CUSTOM, data=form, files=sample, headers=two)
        assert error(theirs) == (404, "consent_not_found", "consent")
        voice = await server.post(CUSTOM, data=form, files=sample, headers=one)
        assert voice.status_code == 200, voice.text
        for answer in (
            await server.get(consent, headers=two),
            await server.patch(consent, json={"name": "Mine"}, headers=two),
            await server.delete(consent, headers=two),
            await server.get(f"{CUSTOM}/anna", headers=two),
            await server.delete(f"{CUSTOM}/{voice.json()['id']}", headers=two),
            await server.post(SPEECH, json={"input": "Hi.", "voice": "anna"}, headers=two),
        ):
            assert answer.status_code == 404, answer.text
        for headers in (two, {}):
            assert (await server.get(CUSTOM, headers=headers)).json()["data"] == []
        assert len((await server.get(CUSTOM, headers=boss)).json()["uploaded_voices"]) == 1
        shared = {**form, "name": "all", "shared": "true", "ref_text": "Other."}
        refused = await server.post(CUSTOM, data=shared, files=sample, headers=one)
        assert error(refused)[:2] == (403, "missing_scope")
        assert (await server.delete(consent, headers=boss)).status_code == 200
        ended = await server.post(SPEECH, json={"input": "Hi.", "voice": "anna"}, headers=one)
        assert error(ended)[:2] == (403, "consent_ended")
        assert (await server.delete(f"{CUSTOM}/anna", headers=one)).status_code == 200


async def test_consent_may_be_left_out_where_the_operator_says_so(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, require_consent=False)
    async with app_client(create_app(settings, tone_pool())) as server:
        made = await upload(server, consent="")
        assert made.status_code == 200, made.text
        assert (await server.get(f"{VOICES}/anna")).json()["consent"] is None


async def test_page_of_an_allowed_origin_may_change_and_remove() -> None:
    origin = "https://page.example"
    app = create_app(Settings(cors_origins=(origin,), host="0.0.0.0"), tone_pool())
    async with app_client(app) as server:
        for method in ("PUT", "PATCH", "DELETE"):
            asked = {"Origin": origin, "Access-Control-Request-Method": method}
            answer = await server.options(f"{CUSTOM}/anna", headers=asked)
            assert answer.status_code == 200
            assert method in answer.headers["access-control-allow-methods"]


# --- bad uploads ----------------------------------------------------------------------------------

LONG = np.random.default_rng(2).normal(0, 0.1, 31 * 8_000).astype(np.float32)
NOT_NUMBERS = WAV[:20] + struct.pack("<HHIIHH", 3, 1, 24_000, 96_000, 4, 32) + WAV[36:44]
BAD_RECORDINGS = {
    "nothing": b"",
    "one byte": b"R",
    "text": b"This is not audio. " * 999,
    "random bytes": random.Random(1).randbytes(50_000),
    "a page": b"<!doctype html><html><body>" + b"<p>no</p>" * 999,
    "a picture": b"\x89PNG\r\n\x1a\n" + bytes(9_999),
    "an archive": b"PK\3\4" + bytes(9_999),
    "a playlist": b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n",
    "a header that breaks off": WAV[:30],
    "a header alone": WAV[:44],
    "a second cut off": WAV[:20_000],
    "half a second": wav_bytes(NOISE[:12_000], 24_000),
    "31 seconds": wav_bytes(LONG, 8_000),
    "silence": wav_bytes(np.zeros(96_000, np.float32), 24_000),
    "a click in silence": wav_bytes(np.eye(1, 96_000, 48_000, dtype=np.float32)[0], 24_000),
    "nothing but clipping": wav_bytes(np.sign(NOISE), 24_000),
    "samples that are no numbers": NOT_NUMBERS + np.full(48_000, np.nan, "<f4").tobytes(),
    "no sample rate": WAV[:24] + bytes(8) + WAV[32:],
    "200 channels": WAV[:22] + struct.pack("<H", 200) + WAV[24:],
}
BAD_NAMES = {
    "empty": "", "blank": " ", "dots": "..", "a path up": "../../etc/passwd", "a path": "a/b",
    "backslashes": "..\\x", "a root": "/etc/passwd", "control characters": "a\x1b[2J",
    "Cyrillic": "аnna", "full width": "ａnna", "of no width": "an\u200bna", "an emoji": "🎤",
    "10,000 letters": "x" * 10_000, "an option": "-rf", "a hidden file": ".anna",
    "automatic": "auto", "a device": "NUL", "of a model": "sine", "of another model": "af_bella",
    "an id": "0" * 24, "a consent": "cons_" + "0" * 32, "a formula": "a+b(2)",
}  # fmt: skip
BAD_FIELDS: dict[str, tuple[dict[str, str], str]] = {
    "no consent": ({"consent": ""}, "consent"),
    "unknown consent": ({"consent": "cons_1234"}, "consent"),
    "long consent": ({"consent": "x" * 10_000}, "consent"),
    "long words": ({"ref_text": "x" * 5_001}, "ref_text"),
    "escapes": ({"speaker_description": "\x1b[2J"}, "speaker_description"),
    "unknown type": ({"type": "magic"}, "type"),
    "no prompt": ({"type": "prompt"}, "prompt"),
    "a formula too": ({"formula": "af_bella"}, "formula"),
    "a value of 100,000 bytes": ({"ref_text": "x" * 100_000}, "ref_text"),
}


@pytest.mark.parametrize("sample", BAD_RECORDINGS.values(), ids=BAD_RECORDINGS)
async def test_bad_recording_leaves_nothing(
    server: httpx.AsyncClient, tmp_path: Path, sample: bytes
) -> None:
    before = files_in(tmp_path)
    assert error(await upload(server, sample)) == (400, "invalid_request", "audio_sample")
    said = await server.post(
        CONSENTS, data={"name": "Anna", "language": "en"}, files={"recording": ("a.wav", sample)}
    )
    assert error(said) == (400, "invalid_request", "recording")
    native = {
        "name": "anna",
        "ref_audio": base64.b64encode(sample).decode(),
        "consent": {"by": "Anna", "words": "Yes."},
    }
    refused = await server.post(VOICES, json=native)
    assert (refused.status_code, refused.json()["error"]["field"]) == (422, "ref_audio")
    assert files_in(tmp_path) == before


@pytest.mark.parametrize("name", BAD_NAMES.values(), ids=BAD_NAMES)
async def test_bad_name_leaves_nothing(
    server: httpx.AsyncClient, tmp_path: Path, name: str
) -> None:
    before = files_in(tmp_path)
    assert error(await upload(server, name=name)) == (400, "invalid_request", "name")
    assert error(await server.post(CUSTOM, json={**MIX, "name": name}))[2] == "name"
    native = await server.post(VOICES, json={**MIX, "name": name})
    assert (native.status_code, native.json()["error"]["field"]) == (422, "name")
    assert files_in(tmp_path) == before


@pytest.mark.parametrize(("fields", "param"), BAD_FIELDS.values(), ids=BAD_FIELDS)
async def test_bad_field_leaves_nothing(
    server: httpx.AsyncClient, tmp_path: Path, fields: dict[str, str], param: str
) -> None:
    before = files_in(tmp_path)
    status, _, found = error(await upload(server, **fields))
    assert (400 <= status < 500, found) == (True, param)
    assert files_in(tmp_path) == before


PART = '--b\r\nContent-Disposition: form-data; name="{}"\r\n\r\n{}\r\n'
FORM = "multipart/form-data; boundary=b"


@pytest.mark.parametrize(
    ("body", "content_type", "param"),
    [
        pytest.param("", FORM, "body", id="empty form"),
        pytest.param("--b--", FORM, "name", id="form without parts"),
        pytest.param(PART.format("name", "anna"), FORM, "body", id="form that breaks off"),
        pytest.param(PART.format("name", "a") + "--b--", FORM, "audio_sample", id="no recording"),
        pytest.param(
            PART.format("name", "a") + PART.format("audio_sample", "words") + "--b--", FORM,
            "audio_sample", id="recording as text",
        ),
        pytest.param(
            PART.format("name", "a") * 2 + PART.format("name", "b") + "--b--", FORM, "name",
            id="three names",
        ),
        pytest.param(PART.format("x", "y") * 65 + "--b--", FORM, "body", id="65 parts"),
        pytest.param("--b\r\n\r\nx\r\n--b--", FORM, "body", id="part without a name"),
        pytest.param("--b" + "x" * 9_999 + "\r\n--b--", FORM, "body", id="part without a head"),
        pytest.param("--b--", "multipart/form-data", "body", id="no boundary"),
        pytest.param("--b--", f"{FORM}{'b' * 99}", "body", id="long boundary"),
        pytest.param("name=anna", "application/x-www-form-urlencoded", "body", id="another form"),
        pytest.param("{", "application/json", None, id="broken JSON"),
        pytest.param("[]", "application/json", None, id="a list"),
        pytest.param(
            '{"name": "anna", "audio_sample": "UklGRg=="}', "application/json", "audio_sample",
            id="base64",
        ),
    ],
)  # fmt: skip
async def test_bad_form_leaves_nothing(
    server: httpx.AsyncClient, tmp_path: Path, body: str, content_type: str, param: str | None
) -> None:
    before = files_in(tmp_path)
    answer = await server.post(CUSTOM, content=body, headers={"Content-Type": content_type})
    assert error(answer) == (400, "invalid_request", param), answer.text
    assert files_in(tmp_path) == before


async def test_upload_beyond_the_limit_is_413(server: httpx.AsyncClient, tmp_path: Path) -> None:
    before = files_in(tmp_path)
    assert error(await upload(server, bytes(17_000_000)))[:2] == (413, "body_too_large")
    assert files_in(tmp_path) == before
