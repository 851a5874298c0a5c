"""Clone, change and remove voices with the `elevenlabs` SDK. No model here speaks with them."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from elevenlabs.client import ElevenLabs
from elevenlabs.core.api_error import ApiError

from tests.conftest import serving, tone_pool
from tests.voices.test_recording import speech
from vivavoce.api.app import create_app
from vivavoce.api.elevenlabs.voices.bodies import beginning, name_of
from vivavoce.audio import wav_bytes
from vivavoce.keys import FILE_NAME, KeyFile
from vivavoce.settings import Settings
from vivavoce.text.split import weighted_length

WORDS = "You may use my voice."
AGREED: Any = {"additional_body_parameters": {"consent": WORDS}}
SPOKEN = wav_bytes(speech(4, 40), 24_000)
OTHER = wav_bytes(speech(6, 35), 24_000)


@contextmanager
def opened(url: str, key: str = "none") -> Iterator[ElevenLabs]:
    client = ElevenLabs(base_url=url, api_key=key, timeout=120)
    try:
        yield client
    finally:
        client._client_wrapper.httpx_client.httpx_client.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    with serving(create_app(Settings(data_dir=tmp_path), tone_pool())) as url:
        yield url


@pytest.fixture(params=["", "/elevenlabs"])
def sdk(server: str, request: pytest.FixtureRequest) -> Iterator[ElevenLabs]:
    with opened(server + request.param) as client:
        yield client


def added(sdk: ElevenLabs, *files: bytes, name: str = "Anna Lind", **more: Any) -> Any:
    options = {"request_options": AGREED, **more}
    return sdk.voices.ivc.create(name=name, files=list(files or (SPOKEN,)), **options)


def kept(folder: Path, id: str) -> Any:
    return json.loads((folder / "voices" / id / "voice.json").read_text("utf-8"))


def refusal(refused: pytest.ExceptionInfo[ApiError]) -> tuple[int | None, str]:
    return refused.value.status_code, refused.value.body["detail"]["message"]


def test_voice_is_added_found_changed_and_removed(sdk: ElevenLabs, tmp_path: Path) -> None:
    labels = {"age": "old", "gender": "female"}
    made = added(sdk, description="Reads letters.", labels=labels, remove_background_noise=True)
    assert not made.requires_verification
    card = sdk.voices.get(made.voice_id)
    assert (card.name, card.description, card.category) == ("Anna Lind", "Reads letters.", "cloned")
    assert card.labels is not None
    assert labels.items() <= card.labels.items()
    assert kept(tmp_path, made.voice_id)["gender"] == "female"
    assert sdk.voices.get("anna-lind") == card
    assert sdk.voices.settings.get(made.voice_id).stability == 0.5
    sdk.voices.update(made.voice_id, name="Anna")
    assert kept(tmp_path, made.voice_id)["labels"] == labels
    sdk.voices.update(made.voice_id, name="Anna L.", description="New.", labels={"mood": "calm"})
    card = sdk.voices.get(made.voice_id)
    assert (card.name, card.description) == ("Anna L.", "New.")
    assert kept(tmp_path, made.voice_id)["labels"] == {"mood": "calm", "name": "Anna L."}
    assert sdk.voices.delete(made.voice_id).status == "ok"
    for call in (sdk.voices.get, sdk.voices.delete):
        with pytest.raises(ApiError) as refused:
            call(made.voice_id)
        assert refused.value.status_code == 404
    assert list((tmp_path / "voices").glob("[!.]*")) == []


@pytest.mark.parametrize(
    "consent",
    [
        {"request_options": AGREED},
        {"labels": {"consent": WORDS, "age": "old"}, "request_options": None},
        {"labels": json.dumps({"consent": WORDS}), "request_options": None},
        {"request_options": {"additional_headers": {"X-Consent": "You may use my voice%2E"}}},
    ],
)
def test_consent_comes_in_a_field_a_label_or_a_header(
    server: str, tmp_path: Path, consent: dict[str, Any]
) -> None:
    with opened(server) as sdk:
        voice = kept(tmp_path, added(sdk, **consent).voice_id)
    assert (voice["consent"]["by"], voice["consent"]["words"]) == ("Anna Lind", WORDS)
    assert "consent" not in voice["labels"]


def test_consent_may_be_a_record_or_a_recorded_one(server: str, tmp_path: Path) -> None:
    record = json.dumps({"by": "A. Lind", "words": "Yes.", "expires": "2999-01-31"})
    form = {"name": "Anna", "language": "en-US"}
    recorded = httpx.post(
        f"{server}/v1/audio/voice_consents", data=form, files={"recording": ("a.wav", OTHER)}
    ).json()["id"]
    with opened(server) as sdk:
        for number, consent in enumerate((record, recorded)):
            file = wav_bytes(speech(4 + number, 40), 24_000)
            options = {"additional_body_parameters": {"consent": consent}}
            made = added(sdk, file, name=f"anna-{number}", request_options=options)
            voice = kept(tmp_path, made.voice_id)["consent"]
            assert {"by": "A. Lind", "expires": "2999-01-31"}.items() <= voice.items() or (
                voice["recorded"] == recorded
            )


def test_without_consent_the_error_says_how_to_send_it_and_a_setting_lifts_the_rule(
    server: str, tmp_path: Path
) -> None:
    with opened(server) as sdk, pytest.raises(ApiError) as refused:
        added(sdk, request_options=None)
    status, says = refusal(refused)
    assert status == 422
    for way in ("additional_body_parameters", "label", "X-Consent", "require_consent = false"):
        assert way in says
    assert not (tmp_path / "voices").exists()
    free = Settings(data_dir=tmp_path, require_consent=False)
    with serving(create_app(free, tone_pool())) as url, opened(url) as sdk:
        assert kept(tmp_path, added(sdk, request_options=None).voice_id)["consent"] is None


def test_several_files_become_one_recording_of_at_most_30_s(server: str, tmp_path: Path) -> None:
    long = wav_bytes(np.tile(speech(9, 40), 3), 24_000)  # 27 s
    with opened(server) as sdk:
        made = added(sdk, SPOKEN, long, OTHER)
        joined = (tmp_path / "voices" / made.voice_id / "recording.flac").read_bytes()
        again = added(sdk, SPOKEN, OTHER)
    assert "left out: file 2, beyond 30 s together" in made.warnings
    assert again.voice_id == made.voice_id
    assert again.warnings == made.warnings[:-1]
    assert len(joined) > 0


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"name": ""}, "cannot be a voice's"),
        ({"name": "…"}, "cannot be a voice's"),
        ({"name": "x" * 10_000}, "the limit is 200"),
        ({"name": "auto"}, "means another voice already"),
        ({"name": "Sine"}, "means another voice already"),
        ({"name": "a\x1b[2J"}, "'name' cannot be"),
        ({"labels": "no JSON"}, "'labels' cannot be"),
        ({"labels": "[" * 50_000}, "'labels' cannot be"),
        ({"labels": '{"a": {"b": 1}}'}, "'labels' cannot be"),
        ({"labels": json.dumps({f"{n}": "x" for n in range(21)})}, "'labels' cannot be"),
        ({"labels": json.dumps({f"{n}": "x" for n in range(20)})}, "21 with the name"),
        ({"description": "x" * 2_001}, "the limit is 2,000"),
        ({"consent": '{"by": "Anna"}'}, "'words' is missing"),
        ({"consent": '{"by": "", "words": ""}'}, "consent lacks 'by'"),
        ({"consent": "{"}, "it is no JSON"),
        ({"consent": "x" * 2_001}, "the limit is 2,000"),
        ({"consent": "cons_" + "0" * 32}, "no consent"),
        ({"files": "text"}, "'files' cannot be"),
        ({"files": None}, "'files' is missing"),
        ({"files": b""}, "is empty"),
        ({"files": b"no audio" * 99}, "cannot be read as wav"),
        ({"files": wav_bytes(np.zeros(48_000, np.float32), 24_000)}, "is silent"),
        ({"files": wav_bytes(speech(1, 40)[:12_000], 24_000)}, "fewer than 1"),
        ({"files": [SPOKEN] * 26}, "at most 25"),
    ],
)
def test_bad_form_is_refused_and_leaves_nothing(
    server: str, tmp_path: Path, fields: dict[str, Any], says: str
) -> None:
    sent: dict[str, Any] = {"name": "Anna Lind", "consent": WORDS, "files": SPOKEN, **fields}
    given = sent.pop("files")
    parts = [("nothing", (None, ""))]
    if given is not None:
        several = given if isinstance(given, list) else [given]
        parts = [("files", (None if isinstance(one, str) else "a.wav", one)) for one in several]
    answer = httpx.post(f"{server}/v1/voices/add", data=sent, files=parts, timeout=60)
    detail = answer.json()["detail"]
    assert answer.status_code in (404, 422), answer.text
    assert says in detail["message"]
    assert set(detail) == {"status", "message"}
    assert not (tmp_path / "voices").exists()


def test_a_voice_keeps_its_recording_and_models_their_voices(server: str) -> None:
    with opened(server) as sdk:
        made = added(sdk)
        for call, status, says in (
            (lambda: sdk.voices.update(made.voice_id, name="A", files=[OTHER]), 422, "keeps its"),
            (lambda: sdk.voices.update(made.voice_id, name="sine"), 422, "another voice already"),
            (lambda: sdk.voices.update("nobody", name="A"), 404, "no voice 'nobody'"),
            (lambda: sdk.voices.delete("sine"), 404, "no voice 'sine'"),
            (lambda: added(sdk, name="Other"), 422, "saved as 'Anna-Lind'"),
        ):
            with pytest.raises(ApiError) as refused:
                call()
            assert refusal(refused)[0] == status
            assert says in refusal(refused)[1]


def test_revoked_voice_is_refused_and_can_be_removed(server: str) -> None:
    with opened(server) as sdk:
        made = added(sdk)
        httpx.post(f"{server}/v1/tts/voices/{made.voice_id}/revoke").raise_for_status()
        with pytest.raises(ApiError) as refused:
            sdk.voices.get(made.voice_id)
        assert refused.value.status_code == 403
        assert sdk.voices.delete(made.voice_id).status == "ok"


def test_keys_cannot_see_change_or_remove_each_others_voices(tmp_path: Path) -> None:
    file = KeyFile(tmp_path / FILE_NAME)
    one, two = file.create("one"), file.create("two")
    app = create_app(Settings(data_dir=tmp_path), tone_pool())
    with (
        serving(app) as url,
        opened(url, one) as own,
        opened(f"{url}/elevenlabs", two) as other,
        opened(url, "wrong") as stranger,
    ):
        made = added(own)
        with pytest.raises(ApiError) as unknown:
            added(stranger)
        assert unknown.value.status_code == 401
        for call in (
            lambda: other.voices.get(made.voice_id),
            lambda: other.voices.settings.get(made.voice_id),
            lambda: other.voices.update(made.voice_id, name="Mine"),
            lambda: other.voices.delete(made.voice_id),
            lambda: b"".join(other.text_to_speech.convert(made.voice_id, text="Hello.")),
        ):
            with pytest.raises(ApiError) as refused:
                call()
            assert refused.value.status_code == 404
        assert added(other).voice_id != made.voice_id
        assert own.voices.get(made.voice_id).is_owner


def test_design_without_checkpoints_says_which_and_how(sdk: ElevenLabs) -> None:
    with pytest.raises(ApiError) as refused:
        sdk.text_to_voice.design(voice_description="A calm old man who speaks slowly.")
    assert refusal(refused)[0] == 422
    for name in ("VoiceDesign", "Base"):
        assert f"vivavoce models pull Qwen/Qwen3-TTS-12Hz-1.7B-{name}" in refusal(refused)[1]


def test_unknown_preview_is_not_found(sdk: ElevenLabs) -> None:
    with pytest.raises(ApiError) as refused:
        sdk.text_to_voice.create(
            voice_name="Merlin", voice_description="A man.", generated_voice_id="none"
        )
    assert refusal(refused)[0] == 404
    assert "design the voice again" in refusal(refused)[1]


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("Anna Lind", "Anna-Lind"),
        ("  Zoë (new)  ", "Zoe-new"),
        ("アンナ", "anna"),
        ("../../etc/passwd", "etc-passwd"),
        ("???", "???"),
        ("x" * 100, "x" * 64),
    ],
)
def test_name_becomes_one_that_a_voice_may_have(name: str, own: str) -> None:
    assert name_of(name) == own


@pytest.mark.parametrize(
    "text",
    ["Some words. " * 60, "word " * 300, "x" * 1_000, "雨が降る。" * 100, "雨" * 400, "", "Short."],
)
def test_beginning_is_short_and_ends_with_a_sentence_if_one_does(text: str) -> None:
    said = beginning(text)
    assert weighted_length(said) <= 250
    assert " ".join(text.split()).startswith(said)
    assert said or not text
    if text.startswith(("Some", "雨が")):
        assert said.endswith((".", "。"))
