"""Test `vivavoce ui`: address, shutdown, and errors at the start."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

import httpx
import numpy as np
import pytest
from typer.testing import CliRunner

from tests.conftest import serving
from vivavoce.api.app import create_app
from vivavoce.audio.containers import wav_bytes
from vivavoce.cli import app
from vivavoce.models.tone import ToneModel
from vivavoce.serving.local import LocalEngine
from vivavoce.serving.pool import Pool
from vivavoce.serving.scheduler import Load
from vivavoce.settings import Settings
from vivavoce.ui.launch import SERVER_URL

needs_streamlit = pytest.mark.skipif(
    find_spec("streamlit") is None,
    reason="the demo page needs streamlit: pip install 'vivavoce[ui]'",
)
posix_only = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")


@contextmanager
def page_process(
    *arguments: str, **environment: str
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Yield a process of `vivavoce ui`, and the URL that it prints."""
    command = [
        sys.executable, "-m", "vivavoce", "ui", "--host", "127.0.0.1", "--port", "0", *arguments,
    ]  # fmt: skip
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
    ) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            yield process, process.stdout.readline().split()[-1].rstrip("/")
        finally:
            process.kill()


@needs_streamlit
@posix_only
@pytest.mark.parametrize(
    ("ending", "codes"),
    [(signal.SIGINT, {130}), (signal.SIGTERM, {0, -signal.SIGTERM, 128 + signal.SIGTERM})],
)
def test_page_is_served_until_a_signal(ending: signal.Signals, codes: set[int]) -> None:
    with page_process() as (process, url):
        assert httpx.get(f"{url}/_stcore/health", timeout=30).text == "ok"
        assert "<title>" in httpx.get(url, timeout=30).text
        process.send_signal(ending)
        _, errors = process.communicate(timeout=30)
    assert process.returncode in codes
    assert "Traceback" not in errors


@needs_streamlit
def test_port_that_is_taken_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = CliRunner().invoke(
            app, ["ui", "--host", "127.0.0.1", "--port", str(taken.getsockname()[1])]
        )
    assert done.exit_code == 3
    assert "--port" in done.stderr


def test_missing_streamlit_is_said_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        sys.modules, "streamlit", None
    )  # Python's own way of saying that it cannot be imported
    done = CliRunner().invoke(app, ["ui", "--port", "0"])
    assert done.exit_code == 1
    assert "pip install 'vivavoce[ui]'" in done.stderr


@needs_streamlit
@posix_only
@pytest.mark.slow
def test_page_in_a_browser_speaks_and_asks_nobody_else() -> None:
    """Check that the server's address comes from the environment, as in containers."""
    playwright = pytest.importorskip("playwright.sync_api")
    from tests.web.conftest import FLAGS, browser_path

    with (
        serving(create_app(Settings(models=("hibari", "tone"), isolate_models=False))) as server,
        page_process(**{SERVER_URL: server}) as (_, url),
        playwright.sync_playwright() as driver,
        driver.chromium.launch(executable_path=browser_path(), args=FLAGS.split()) as browser,
    ):
        page = browser.new_page()
        page.set_default_timeout(60_000)
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(url)
        page.get_by_role("textbox", name="Text", exact=True).fill(
            "Hello there. It is good to hear you."
        )
        page.get_by_role("combobox", name="Model").click()
        page.get_by_role("option", name="hibari").click()
        page.get_by_role("combobox", name="Speaker").click()
        page.get_by_role("option", name="Heart (en)").click()
        page.get_by_role("button", name="Speak", exact=True).click()
        audio = page.locator("audio")
        playwright.expect(audio).to_have_js_property("readyState", 4, timeout=60_000)
        length_s = float(page.get_by_test_id("stMetricValue").nth(1).inner_text().split()[0])
        assert 1 < length_s < 5
        assert audio.evaluate("audio => audio.duration") == pytest.approx(length_s, abs=0.06)
        with page.expect_download() as download:
            page.get_by_role("button", name="Download wav").click()
        assert download.value.suggested_filename == "heart.wav"
        assert [
            address for address in asked if not address.startswith((url, "data:", "blob:"))
        ] == []


@needs_streamlit
@posix_only
@pytest.mark.slow
def test_page_finds_a_server_that_comes_stops_and_sends_recordings() -> None:
    """In a real browser: what it does by itself, and what cannot be clicked without one."""
    playwright = pytest.importorskip("playwright.sync_api")
    from tests.web.conftest import FLAGS, browser_path

    engine = LocalEngine(ToneModel(real_time_factor=0.5))
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]
    with (
        page_process(**{SERVER_URL: f"http://127.0.0.1:{port}"}) as (_, url),
        playwright.sync_playwright() as driver,
        driver.chromium.launch(executable_path=browser_path(), args=FLAGS.split()) as browser,
    ):
        page = browser.new_page()
        page.set_default_timeout(60_000)
        page.goto(url)
        speak = page.get_by_role("button", name="Speak", exact=True)
        playwright.expect(speak).to_be_disabled(timeout=60_000)
        with serving(create_app(Settings(), Pool({"tone": lambda: engine})), port):
            playwright.expect(speak).to_be_enabled(timeout=60_000)  # nobody touched the page

            text = page.get_by_role("textbox", name="Text", exact=True)
            text.fill("Hello.")
            speak.click()
            playwright.expect(page.locator("audio")).to_have_count(1)

            text.fill("A long text that takes a while. " * 40)
            speak.click()
            page.get_by_text("of speech received").wait_for()
            page.get_by_role("button", name="Stop").click()
            playwright.expect(page.get_by_role("button", name="Stop")).to_have_count(0)
            playwright.expect(page.locator("audio")).to_have_count(1)
            give_up = time.monotonic() + 10
            while engine.load != Load(0, 0):  # its thread tells nobody
                assert time.monotonic() < give_up, "the server is still at work on what was stopped"
                page.wait_for_timeout(20)

            page.get_by_text("Advanced options").click()
            hum = np.sin(np.arange(48_000) / 20).astype(np.float32) / 2
            recording = {
                "name": "me.wav",
                "mimeType": "audio/wav",
                "buffer": wav_bytes(hum, 24_000),
            }
            page.locator("input[type=file]").set_input_files(recording)
            page.get_by_role("textbox", name="Transcript of the recording").fill("Nothing.")
            speak.click()
            page.get_by_text("clones no voice").wait_for()
