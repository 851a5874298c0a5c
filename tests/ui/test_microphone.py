"""Check in a real browser that the demo page records a voice, and gives it as a file."""

from pathlib import Path

import httpx
import pytest

pytest.importorskip("streamlit", reason="the demo page needs streamlit: pip install 'vivavoce[ui]'")
pytest.importorskip("playwright.sync_api")

from playwright.sync_api import expect, sync_playwright

from tests.conftest import serving, tone_pool
from tests.ui.test_launch import page_process, posix_only
from tests.web.conftest import FLAGS, browser_path
from vivavoce.api.app import create_app
from vivavoce.client import Client
from vivavoce.settings import Settings
from vivavoce.ui.launch import SERVER_URL

pytestmark = [pytest.mark.slow, posix_only]

WORDS = "The lamp is on the table, and the door is open."


def test_voice_is_recorded_saved_exported_imported_renamed_and_deleted(
    hibari_url: str, tmp_path: Path
) -> None:
    body = {"text": WORDS, "format": "wav", "sample_rate": 48_000}
    spoken = httpx.post(f"{hibari_url}/v1/tts/synthesize", json=body, timeout=60)
    (tmp_path / "speech.wav").write_bytes(spoken.raise_for_status().content)
    flags = [
        *FLAGS.split(),
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-audio-capture={tmp_path / 'speech.wav'}",
    ]
    with (
        serving(create_app(Settings(data_dir=tmp_path / "data"), tone_pool())) as server,
        Client(server) as client,
        page_process(**{SERVER_URL: server}) as (_, url),
        sync_playwright() as driver,
        driver.chromium.launch(executable_path=browser_path(), args=flags) as browser,
    ):
        page = browser.new_page()
        page.set_default_timeout(60_000)
        page.goto(url)
        page.get_by_role("tab", name="Your voices").click()
        page.get_by_text("Record or upload a voice").click()
        page.get_by_role("button", name="Record", exact=True).click()
        time = page.get_by_test_id("stAudioInputWaveformTimeCode")
        expect(time).to_have_text("00:04", timeout=60_000)
        page.get_by_role("button", name="Stop recording").click()
        page.get_by_text("s of sound.").wait_for()
        page.get_by_role("textbox", name="Words of the recording").fill(WORDS)
        page.get_by_role("textbox", name="Who speaks, and agrees").fill("Anna Lind")
        page.get_by_role("textbox", name="What they said to agree").fill("You may use my voice.")
        page.get_by_role("textbox", name="Name", exact=True).fill("anna")
        page.get_by_role("button", name="Save voice").click()
        page.get_by_text("Saved anna.").wait_for()
        [voice] = client.voices.list()
        assert (voice.name, voice.words) == ("anna", WORDS)
        assert not [one for one in voice.warnings if one.startswith(("short", "quiet", "clipped"))]

        with page.expect_download() as download:
            page.get_by_role("button", name="Export").click()
        assert download.value.suggested_filename == "anna.vvoice"
        download.value.save_as(tmp_path / "anna.vvoice")
        page.get_by_role("button", name="Delete").click()
        page.get_by_role("button", name="Delete it").click()
        page.get_by_text("Deleted anna.").wait_for()
        assert client.voices.list() == ()

        page.get_by_text("Import a voice").click()
        page.locator("input[type=file][accept*=vvoice]").set_input_files(tmp_path / "anna.vvoice")
        page.get_by_role("button", name="Import voice").click()
        page.get_by_text("Saved anna.").wait_for()
        assert client.voices.list()[0].id == voice.id
        page.get_by_role("button", name="Edit").click()
        edited = page.get_by_test_id("stPopoverBody")
        edited.get_by_role("textbox", name="Name", exact=True).fill("anna-2")
        page.get_by_role("button", name="Save changes").click()
        page.get_by_text("Changed anna-2.").wait_for()
        expect(page.get_by_role("button", name="Save changes")).to_be_hidden()
        assert client.voices.list()[0].name == "anna-2"
