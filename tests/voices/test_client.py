"""Check the saved voices of the Python client with the real application."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import httpx
import numpy as np
import pytest

from tests.conftest import serving, tone_pool
from vivavoce.api.app import create_app
from vivavoce.audio import wav_bytes
from vivavoce.client import AsyncClient, Client, Consent
from vivavoce.errors import BadRequest, ConsentEnded, UnknownVoice, Unsupported
from vivavoce.settings import Settings

SPOKEN = wav_bytes(np.random.default_rng(1).normal(0, 0.1, 96_000).astype(np.float32), 24_000)
CONSENT = Consent("Anna Lind", "You may use my voice.", "letters", date(2999, 1, 31))


@pytest.fixture
async def remote(tmp_path: Path) -> AsyncIterator[AsyncClient]:
    app = create_app(Settings(data_dir=tmp_path / "data"), tone_pool())
    async with (
        app.router.lifespan_context(app),
        AsyncClient("http://test", transport=httpx.ASGITransport(app)) as client,
    ):
        yield client


async def test_mix_is_made_found_changed_and_removed(remote: AsyncClient) -> None:
    made = await remote.voices.mix("warm", "af_bella(2)+af_sky(1)", labels={"mood": "calm"})
    assert (made.kind, made.languages, made.gender) == ("mixed", ("en",), "female")
    assert made.formula == "af_bella(0.666666667)+af_sky(0.333333333)"
    assert await remote.voices.list() == (made,)
    assert await remote.voices.get("WARM") == made
    changed = await remote.voices.update("warm", name="warmer", languages=["english", "de"])
    assert changed == replace(made, name="warmer", languages=("en", "de"))
    assert await remote.voices.remove("warmer") == changed
    assert await remote.voices.list() == ()


async def test_recording_is_kept_with_its_consent(remote: AsyncClient, tmp_path: Path) -> None:
    recording = tmp_path / "anna.wav"
    recording.write_bytes(SPOKEN)
    checked = await remote.voices.check(recording)
    made = await remote.voices.add("anna", recording, words="Some words.", consent=CONSENT)
    assert (round(checked.duration_s), checked.warnings) == (4, made.warnings)
    assert (made.kind, made.words, made.consent) == ("cloned", "Some words.", CONSENT)
    assert made.warnings[0].startswith("very noisy")
    with pytest.raises(Unsupported, match="Base checkpoint"):
        await remote.speak("Hello.", speaker="anna")
    longer = Consent("Anna Lind", "For ever.")
    renewed = await remote.voices.renew("anna", longer)
    assert (renewed.consent, renewed.former_consents[0].consent) == (longer, CONSENT)
    worded = await remote.voices.update("anna", words="Other words.")
    assert (worded.words, worded.formerly, worded.changeable) == ("Other words.", (made.id,), True)
    assert await remote.voices.get(made.id) == worded
    with pytest.raises(Unsupported, match="Base checkpoint"):
        await remote.voices.preview("anna", text="Hello.", seed=1)
    revoked = await remote.voices.revoke("anna")
    assert revoked.ended is not None
    with pytest.raises(ConsentEnded):
        await remote.speak("Hello.", speaker="anna")


async def test_voice_is_the_same_after_export_and_import(
    remote: AsyncClient, tmp_path: Path
) -> None:
    made = await remote.voices.add("anna", SPOKEN, consent=CONSENT)
    file = tmp_path / "anna.vvoice"
    file.write_bytes(await remote.voices.export("anna"))
    await remote.voices.remove("anna")
    back = await remote.voices.import_(file, name="anna2")
    assert (back.id, back.name, back.consent) == (made.id, "anna2", CONSENT)


async def test_terms_tell_what_the_server_asks_and_lacks(
    remote: AsyncClient, tmp_path: Path
) -> None:
    terms = await remote.voices.terms()
    assert terms.requires_consent
    assert set(terms.missing) == {"clone", "mix", "design"}
    assert "vivavoce models pull kokoro" in terms.missing["mix"]
    free = create_app(Settings(data_dir=tmp_path, require_consent=False), tone_pool())
    async with AsyncClient("http://test", transport=httpx.ASGITransport(free)) as client:
        assert not (await client.voices.terms()).requires_consent
        assert (await client.voices.add("anna", SPOKEN)).consent is None


async def test_wrong_voices_raise_what_the_server_found(
    remote: AsyncClient, tmp_path: Path
) -> None:
    for made, field in (
        (remote.voices.add("anna", SPOKEN), "consent"),
        (remote.voices.add("anna", b"no audio" * 99, consent=CONSENT), "ref_audio"),
        (remote.voices.add("anna", tmp_path / "nowhere.wav", consent=CONSENT), "ref_audio"),
        (remote.voices.mix("no name", "af_bella"), "name"),
        (remote.voices.mix("warm", "af_bella(0)"), "formula"),
        (remote.voices.import_(b"PK"), "file"),
        (remote.voices.mix("warm", "af_bella", languages=["klingonese"]), "languages"),
    ):
        with pytest.raises(BadRequest) as caught:
            await made
        assert caught.value.field == field
    with pytest.raises(UnknownVoice, match=r"'no body\?'"):
        await remote.voices.get("no body?")
    for name in ("", "..", "../jobs", "a/preview"):
        with pytest.raises(UnknownVoice, match=f"no voice {name!r}"):
            await remote.voices.remove(name)
    with pytest.raises(TypeError, match=r"'label': choose from languages,"):
        await remote.voices.mix("warm", "af_bella", label="x")  # type: ignore[call-arg]  # wrong
    assert await remote.voices.list() == ()


def test_blocking_client_does_the_same(tmp_path: Path) -> None:
    app = create_app(Settings(data_dir=tmp_path), tone_pool())
    with serving(app) as url, Client(url) as client:
        assert client.voices.check(SPOKEN).warnings
        anna = client.voices.add("anna", SPOKEN, words="Some words.", consent=CONSENT)
        warm = client.voices.mix("warm", "af_bella(2)+af_sky(1)", description="Soft.")
        assert client.voices.list() == (replace(anna, warnings=()), warm)
        assert client.voices.get(warm.id) == warm
        assert client.voices.update("warm", description="").description == ""
        file = client.voices.export("warm")
        assert client.voices.remove("warm").name == "warm"
        assert client.voices.import_(file).id == warm.id
        assert client.voices.renew("anna", Consent("A", "Yes.")).former_consents
        assert client.voices.update("anna", words="Others.").words == "Others."
        with pytest.raises(Unsupported, match="Base checkpoint"):
            client.voices.preview("anna")
        assert client.voices.revoke("anna").ended is not None
        assert client.voices.terms().requires_consent
        assert "sine" in {voice.id for voice in client.voices()}
