"""Test the tab of voices on the demo page with Streamlit's test driver and a real server."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("streamlit", reason="the demo page needs streamlit: pip install 'vivavoce[ui]'")

from streamlit.testing.v1 import AppTest

from tests.conftest import serving, tone_pool
from tests.ui.test_page import SCRIPT
from vivavoce.api.app import create_app
from vivavoce.audio import wav_bytes
from vivavoce.client import Client, SavedVoice
from vivavoce.keys import FILE_NAME, KeyFile
from vivavoce.settings import Settings
from vivavoce.ui.launch import SERVER_URL

NOISE = wav_bytes(np.random.default_rng(1).normal(0, 0.1, 96_000).astype(np.float32), 48_000)
MIX = "af_bella(2)+af_sky(1)"


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """Yield a server with beeps, which no saved voice speaks with."""
    with serving(create_app(Settings(data_dir=tmp_path), tone_pool())) as url:
        yield url


@pytest.fixture
def page(url: str, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    return opened(url, monkeypatch)


def opened(url: str, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    """Return the page with the tab of voices open."""
    monkeypatch.setenv(SERVER_URL, url)
    page = AppTest.from_file(SCRIPT, default_timeout=60)
    page.session_state["tab"] = "Your voices"
    return run(page)


def run(page: AppTest) -> AppTest:
    page.run()
    assert not page.exception
    return page


def press(page: AppTest, key: str) -> AppTest:
    page.button(key=key).click()
    return run(page)


def agree(page: AppTest) -> None:
    page.text_input(key="consent by 0").input("Anna Lind")
    page.text_input(key="consent words 0").input("You may use my voice.")
    page.date_input(key="consent until 0").set_value(date(2999, 1, 31))


def saved(url: str) -> tuple[SavedVoice, ...]:
    with Client(url) as client:
        return client.voices.list()


def shown(page: AppTest) -> str:
    return "\n".join(one.value for one in (*page.main.markdown, *page.main.caption))


def test_voice_of_the_microphone_is_saved_listed_revoked_and_deleted(
    page: AppTest, url: str
) -> None:
    assert "No voices yet." in shown(page)
    assert "vivavoce models pull Qwen/Qwen3-TTS-12Hz-0.6B-Base" in page.main.info[0].value
    page.selectbox(key="spoken").select("de")
    run(page)
    assert "Leuchtturmwärter" in shown(page)
    assert "Leuchtturmwärter" in page.text_area(key="words 0 Microphone de").value
    assert page.button(key="save voice").disabled
    page.audio_input[0].upload("recording.wav", NOISE)
    agree(page)
    page.text_input(key="voice name 0").input("anna")
    run(page)
    assert r"2.0 s of sound. It is short\: 2.0 s of sound, and" in shown(page)
    press(page, "save voice")
    assert "Saved anna. The recording is short" in page.main.success[0].value
    [voice] = saved(url)
    assert (voice.name, voice.kind, voice.languages) == ("anna", "cloned", ("de",))
    assert voice.words == page.text_area(key="words 1 Microphone de").value
    assert voice.consent is not None
    assert (voice.consent.by, voice.consent.expires) == ("Anna Lind", date(2999, 1, 31))
    assert "recording, Deutsch · Anna Lind agrees until 2999-01-31" in shown(page)
    assert page.text_input(key="voice name 1").value == ""

    press(page, f"try {voice.id}")
    assert "Base checkpoint" in page.main.warning[0].value
    of = f"of {voice.id} 0"
    assert page.text_input(key=f"consent words {of}").value == "You may use my voice."
    page.text_input(key=f"consent words {of}").input("")
    press(page, f"renew {voice.id} 0")
    assert "lacks 'words'" in page.main.warning[0].value
    page.text_input(key=f"consent words {of}").input("For letters only.")
    page.date_input(key=f"consent until {of}").set_value(date(2999, 2, 28))
    press(page, f"renew {voice.id} 0")
    assert page.main.success[0].value == "The consent to anna is saved."
    assert "Anna Lind agrees until 2999-02-28" in shown(page)
    [renewed] = saved(url)
    assert [one.consent for one in renewed.former_consents] == [voice.consent]
    press(page, f"revoke {voice.id}")
    assert "its consent was revoked" in shown(page)
    assert not [one for one in page.text_input if one.key == f"consent words of {voice.id} 2"]
    press(page, f"delete {voice.id}")
    assert page.main.success[0].value == "Deleted anna."
    assert saved(url) == ()


def test_upload_is_saved_and_a_bad_one_is_refused_in_words(page: AppTest, url: str) -> None:
    page.radio(key="voice source").set_value("File")
    run(page)
    assert page.text_area(key="words 0 File en").value == ""
    page.file_uploader(key="upload 0").upload("bad.wav", b"no audio" * 99, "audio/wav")
    agree(page)
    page.text_input(key="voice name 0").input("anna")
    run(page)
    assert "cannot be read as wav" in page.main.warning[0].value
    assert page.button(key="save voice").disabled
    page.file_uploader(key="upload 0").set_value(("noise.wav", NOISE, "audio/wav"))
    page.text_input(key="consent by 0").input("")
    run(page)
    press(page, "save voice")
    assert "lacks 'by'" in page.main.warning[0].value
    agree(page)
    press(page, "save voice")
    [voice] = saved(url)
    assert voice.words is None
    assert "without the words of its recording" in shown(page)
    page.text_area(key=f"words {voice.id} 0").input(" Nothing but noise. ")
    press(page, f"change {voice.id} 0")
    assert page.main.success[0].value == "Changed anna."
    [voice] = saved(url)
    assert voice.words == "Nothing but noise."
    assert "without the words" not in shown(page)


def test_shared_voice_of_another_key_can_be_tried_and_not_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = KeyFile(tmp_path / FILE_NAME)
    one, two = keys.create("one", ("manage", "speak")), keys.create("two")
    with serving(create_app(Settings(data_dir=tmp_path), tone_pool())) as url:
        with Client(url, api_key=one) as client:
            voice = client.voices.mix("evening", MIX, shared=True)
        page = opened(url, monkeypatch)
        page.text_input(key="api_key").input(two)
        run(page)
        assert "evening" in shown(page)
        keys_of_voice = [one.key for one in page.button if voice.id in str(one.key)]
        assert keys_of_voice == [f"try {voice.id}"]


def test_mix_is_saved_without_kokoro_and_a_wrong_one_refused(page: AppTest, url: str) -> None:
    page.text_input(key="mix name 0").input("evening")
    page.text_input(key="formula").input("af_bella(0)")
    press(page, "save mix")
    assert "gives 'af\\_bella' no weight" in page.main.warning[0].value
    page.text_input(key="formula").input(MIX)
    press(page, "save mix")
    assert page.main.success[0].value == "Saved evening."
    assert [voice.name for voice in saved(url)] == ["evening"]
    assert not [button for button in page.button if button.key == "try mix"]


def test_saved_voice_gets_another_name_description_and_labels(page: AppTest, url: str) -> None:
    with Client(url) as client:
        voice = client.voices.mix("evening", MIX, labels={"mood": "calm", "age": "old"})
    run(page)
    assert r"af\_bella(0.67)+af\_sky(0.33) · mood\: calm · age\: old" in shown(page)
    page.text_input(key=f"name {voice.id} 0").input("no name")
    press(page, f"change {voice.id} 0")
    assert "cannot be a voice's" in page.main.warning[0].value
    page.text_input(key=f"name {voice.id} 0").input("night")
    page.text_area(key=f"says {voice.id} 0").input("Soft, *near*.")
    page.text_area(key=f"labels {voice.id} 0").input("mood: calm: very\n\n quiet ")
    press(page, f"change {voice.id} 0")
    assert page.main.success[0].value == "Changed night."
    [changed] = saved(url)
    assert (changed.name, changed.description) == ("night", "Soft, *near*.")
    assert changed.labels == {"mood": "calm: very", "quiet": ""}
    assert r"mood\: calm\: very · quiet" in shown(page)
    assert r"Soft, \*near\*" in shown(page)
    assert page.text_input(key=f"name {voice.id} 1").value == "night"


def test_file_of_an_export_is_imported_and_another_one_refused(page: AppTest, url: str) -> None:
    with Client(url) as client:
        voice = client.voices.mix("evening", MIX)
        file = client.voices.export("evening")
        client.voices.remove("evening")
    run(page)
    assert page.button(key="import voice").disabled
    page.file_uploader(key="import 0").set_value(("bad.vvoice", b"PK", "application/zip"))
    run(page)
    press(page, "import voice")
    assert "not a whole zip" in page.main.warning[0].value
    page.file_uploader(key="import 0").set_value(("evening.vvoice", file, "application/zip"))
    page.text_input(key="import name 0").input("night")
    run(page)
    press(page, "import voice")
    assert page.main.success[0].value == "Saved night."
    assert [(one.id, one.name) for one in saved(url)] == [(voice.id, "night")]
    assert page.button(key="import voice").disabled


def test_server_that_designs_no_voices_says_what_is_missing(page: AppTest) -> None:
    assert "models pull Qwen/Qwen3-TTS-12Hz-1.7B-VoiceDesign" in page.main.info[1].value
    assert not [button for button in page.button if button.key == "make previews"]


@pytest.mark.slow
def test_mix_is_heard_before_and_after_it_is_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(data_dir=tmp_path, models=("kokoro",), isolate_models=False)
    with serving(create_app(settings)) as url:
        page = press(opened(url, monkeypatch), "try mix")
        assert len(page.get("audio")) == 1
        page.text_input(key="mix name 0").input("evening")
        press(page, "save mix")
        assert not page.get("audio")
        press(page, f"try {saved(url)[0].id}")
        assert len(page.get("audio")) == 1


@contextmanager
def without_consent(folder: Path) -> Iterator[str]:
    settings = Settings(data_dir=folder, require_consent=False)
    with serving(create_app(settings, tone_pool())) as url:
        yield url


def test_consent_is_optional_where_the_server_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with without_consent(tmp_path) as url:
        page = opened(url, monkeypatch)
        assert "**Consent** (optional)" in shown(page)
        page.audio_input[0].upload("recording.wav", NOISE)
        page.text_input(key="voice name 0").input("anna")
        run(page)
        press(page, "save voice")
        assert [voice.consent for voice in saved(url)] == [None]
