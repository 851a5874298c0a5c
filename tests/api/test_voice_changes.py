"""Check words that come later, previews, consents that are renewed, and what others may know."""

import base64
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from tests.api.test_voices import CLONE, CONSENT, MIX, SPEAK, SPOKEN, VOICES, error
from tests.api.test_voices import keys as keys  # fixtures
from tests.api.test_voices import server as server
from tests.conftest import app_client, tone_pool
from vivavoce.api.app import create_app
from vivavoce.keys import FILE_NAME, KeyFile
from vivavoce.settings import Settings
from vivavoce.text.split import weighted_length

BARE = {name: value for name, value in CLONE.items() if name != "ref_text"}
TODAY = datetime.now(UTC).date()


# --- words ---------------------------------------------------------------------------------------


async def test_words_come_later_and_the_former_id_works(server: httpx.AsyncClient) -> None:
    before = (await server.post(VOICES, json=BARE)).json()
    assert (before["words"], before["formerly"]) == (None, [])
    sent = {"words": " Some words. ", "description": "New."}
    after = (await server.patch(f"{VOICES}/anna", json=sent)).json()
    assert (after["words"], after["description"], after["consent"]) == (
        "Some words.",
        "New.",
        before["consent"],
    )
    assert after["formerly"] == [before["id"]] != [after["id"]]
    for name in ("anna", before["id"], after["id"]):
        assert (await server.get(f"{VOICES}/{name}")).json() == after
        openai = await server.get(f"/v1/audio/voices/{name}")
        assert openai.json()["id"] == after["id"]
        eleven = await server.get(f"/v1/voices/{name}")
        assert eleven.json()["voice_id"] == after["id"]
    assert [voice["id"] for voice in (await server.get(VOICES)).json()["voices"]] == [after["id"]]
    whole = (await server.post(VOICES, json={**CLONE, "name": "other"})).json()
    assert whole["error"]["message"].startswith("this voice is saved as 'anna'")


@pytest.mark.parametrize(
    ("words", "status"), [(" ", 422), ("x" * 5_001, 422), (3, 422), (None, 200)]
)
async def test_bad_words_are_refused(server: httpx.AsyncClient, words: object, status: int) -> None:
    made = (await server.post(VOICES, json=BARE)).json()
    answer = await server.patch(f"{VOICES}/anna", json={"words": words})
    assert answer.status_code == status, answer.text
    if status == 422:
        assert error(answer)[2] == "words"
    assert (await server.get(f"{VOICES}/anna")).json()["id"] == made["id"]


async def test_mix_has_no_words(server: httpx.AsyncClient) -> None:
    await server.post(VOICES, json=MIX)
    answer = await server.patch(f"{VOICES}/warm", json={"words": "Hello."})
    assert error(answer) == (422, "unsupported", "words")


async def test_elevenlabs_edit_takes_the_words(server: httpx.AsyncClient) -> None:
    before = (await server.post(VOICES, json=BARE)).json()["id"]
    form = {"name": "Anna", "ref_text": "Some words."}
    files = {"nothing": (None, "")}
    edited = await server.post(f"/v1/voices/{before}/edit", data=form, files=files)
    assert edited.json()["status"] == "ok", edited.text
    now = (await server.get(f"{VOICES}/{before}")).json()
    assert (now["id"], now["words"]) == (edited.json()["voice_id"], "Some words.")


# --- previews ------------------------------------------------------------------------------------


async def test_preview_of_a_voice_that_no_model_here_speaks_says_what_does(
    server: httpx.AsyncClient,
) -> None:
    await server.post(VOICES, json=CLONE)
    refused = await server.post(f"{VOICES}/anna/preview", json={})
    assert error(refused) == (422, "unsupported", "speaker")
    assert "vivavoce models pull" in refused.text
    for text in ("x" * 251, "雨" * 84):
        long = await server.post(f"{VOICES}/anna/preview", json={"text": text})
        assert weighted_length(text) > 250
        assert (error(long)[0], error(long)[2]) == (422, "text"), long.text
    unknown = await server.post(f"{VOICES}/nobody/preview", json={})
    assert error(unknown) == (404, "voice_not_found", "voice_id")
    wrong = await server.post(f"{VOICES}/anna/preview", json={"language": "klingonese"})
    assert error(wrong)[::2] == (422, "language")
    await server.post(f"{VOICES}/anna/revoke")
    ended = await server.post(f"{VOICES}/anna/preview", json={})
    assert error(ended)[:2] == (403, "consent_ended")


# --- consent -------------------------------------------------------------------------------------


async def test_consent_is_renewed_and_the_former_one_kept(server: httpx.AsyncClient) -> None:
    first = {**CONSENT, "expires": str(TODAY)}
    made = (await server.post(VOICES, json={**CLONE, "consent": first})).json()
    later = {"by": "Anna Lind", "words": "For ever.", "scope": "letters", "expires": "2999-01-31"}
    renewed = (await server.put(f"{VOICES}/anna/consent", json=later)).json()
    assert renewed["consent"].items() >= later.items()
    assert renewed["id"] == made["id"]
    (former,) = renewed["former_consents"]
    assert former["consent"] == made["consent"]
    assert former["until"].startswith(str(TODAY)[:7])
    assert (await server.get(f"{VOICES}/anna")).json() == renewed
    worded = (await server.patch(f"{VOICES}/anna", json={"words": "Others."})).json()
    assert worded["former_consents"] == renewed["former_consents"]


@pytest.mark.parametrize("field", ["by", "words"])
async def test_control_characters_are_named(server: httpx.AsyncClient, field: str) -> None:
    await server.post(VOICES, json=CLONE)
    answer = await server.put(f"{VOICES}/anna/consent", json={**CONSENT, field: "Anna\x1b[2J"})
    problem = f"the field {field!r} cannot be 'Anna\\x1b[2J': it should hold no control characters"
    assert answer.json()["error"]["message"] == problem


@pytest.mark.parametrize(
    ("consent", "field"),
    [
        ({**CONSENT, "expires": str(TODAY - timedelta(1))}, "consent.expires"),
        ({**CONSENT, "expires": "soon"}, "expires"),
        ({"by": "", "words": ""}, "consent"),
        ({"by": "Anna"}, "words"),
        ({**CONSENT, "recorded": "cons_1"}, "recorded"),
    ],
)
async def test_wrong_consent_changes_nothing(
    server: httpx.AsyncClient, consent: dict[str, object], field: str
) -> None:
    made = (await server.post(VOICES, json=CLONE)).json()
    answer = await server.put(f"{VOICES}/anna/consent", json=consent)
    assert (error(answer)[0], error(answer)[2]) == (422, field), answer.text
    assert (await server.get(f"{VOICES}/anna")).json() == {**made, "warnings": []}


@pytest.mark.parametrize("path", [VOICES, "/v1/voices/add"])
async def test_voice_whose_consent_is_over_is_not_made(
    server: httpx.AsyncClient, tmp_path: Path, path: str
) -> None:
    over = {**CONSENT, "expires": str(TODAY - timedelta(1))}
    if path == VOICES:
        answer = await server.post(path, json={**CLONE, "consent": over})
        assert error(answer) == (422, "invalid_request", "consent.expires")
    else:
        record = f'{{"by": "A", "words": "Yes.", "expires": "{TODAY - timedelta(1)}"}}'
        form, file = {"name": "Anna", "consent": record}, base64.b64decode(SPOKEN)
        answer = await server.post(path, data=form, files={"files": ("a.wav", file)})
        assert answer.status_code == 422
    assert "consent.expires" in answer.text
    assert "from " in answer.text
    assert not (tmp_path / "voices").exists()


async def test_ended_consent_is_not_renewed(server: httpx.AsyncClient) -> None:
    await server.post(VOICES, json=CLONE)
    await server.post(f"{VOICES}/anna/revoke")
    answer = await server.put(f"{VOICES}/anna/consent", json=CONSENT)
    assert error(answer)[:2] == (403, "consent_ended")


async def test_voice_ends_with_its_recorded_consent_also_when_renewed(
    server: httpx.AsyncClient,
) -> None:
    form = {"name": "Anna", "language": "en"}
    files = {"recording": ("a.wav", base64.b64decode(SPOKEN))}
    consent = (await server.post("/v1/audio/voice_consents", data=form, files=files)).json()["id"]
    sample = {"audio_sample": ("a.wav", base64.b64decode(SPOKEN))}
    made = await server.post(
        "/v1/audio/voices", data={"name": "anna", "consent": consent}, files=sample
    )
    assert made.status_code == 200, made.text
    renewed = (await server.put(f"{VOICES}/anna/consent", json=CONSENT)).json()
    assert renewed["consent"] == {**CONSENT, "scope": "", "expires": None, "recorded": consent}
    await server.delete(f"/v1/audio/voice_consents/{consent}")
    refused = await server.post(SPEAK, json={"text": "Hello.", "speaker": "anna"})
    assert error(refused)[:2] == (403, "consent_ended")


# --- who may know ---------------------------------------------------------------------------------


async def test_users_of_a_shared_voice_do_not_learn_whose_it_is(
    tmp_path: Path, keys: dict[str, dict[str, str]]
) -> None:
    async with app_client(create_app(Settings(data_dir=tmp_path), tone_pool())) as server:
        one, two, boss = (keys[name] for name in ("one", "two", "boss"))
        own = (await server.post(VOICES, json=CLONE, headers=one)).json()
        await server.put(f"{VOICES}/anna/consent", json=CONSENT, headers=one)
        await server.patch(f"{VOICES}/anna", json={"shared": True}, headers=boss)
        operators = {**CLONE, "name": "bea", "ref_text": "Others."}
        assert (await server.post(VOICES, json=operators, headers=boss)).status_code == 201
        for name in ("anna", "bea"):
            await server.patch(f"{VOICES}/{name}", json={"shared": True}, headers=boss)
        secrets = ("Anna Lind", "You may use", "Some words", "Others.", '"one"', '"boss"')
        for path in (VOICES, f"{VOICES}/anna", "/v1/audio/voices", "/v1/audio/voices/anna"):
            told = await server.get(path, headers=two)
            assert [secret for secret in secrets if secret in told.text] == [], path
            assert "anna" in told.text
        stranger = await server.get("/v1/audio/voices")
        assert "anna" in stranger.text
        assert [secret for secret in secrets if secret in stranger.text] == []
        seen = (await server.get(f"{VOICES}/anna", headers=two)).json()
        assert (seen["consent"], seen["owner"], seen["words"]) == (None, "", None)
        assert (seen["former_consents"], seen["formerly"], seen["changeable"]) == ([], [], False)
        for who in (one, boss):
            seen = (await server.get(f"{VOICES}/anna", headers=who)).json()
            assert (seen["consent"], seen["words"]) == (own["consent"], "Some words.")
            assert (seen["owner"], seen["changeable"]) == ("one", True)
        for refused in (
            await server.put(f"{VOICES}/anna/consent", json=CONSENT, headers=two),
            await server.patch(f"{VOICES}/anna", json={"words": "Mine."}, headers=two),
        ):
            assert error(refused)[:2] == (403, "missing_scope")


async def test_strangers_do_not_learn_of_the_operators_voices(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    async with app_client(create_app(settings, tone_pool())) as server:  # without keys yet
        assert (await server.post(VOICES, json=CLONE)).json()["owner"] == ""
        assert "Some words." in (await server.get("/v1/audio/voices")).text
    KeyFile(tmp_path / FILE_NAME).create("one")
    async with app_client(create_app(settings, tone_pool())) as server:
        for headers in ({}, {"Authorization": "Bearer wrong"}):
            told = (await server.get("/v1/audio/voices", headers=headers)).text
            assert "anna" in told
            assert "Some words." not in told
            assert "Anna Lind" not in told
