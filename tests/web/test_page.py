"""Check the page at `/` in a real browser with a real server."""

import io
import re
import struct
import threading
import time
import wave
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TypedDict

import numpy as np
import pytest
import zxingcpp
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.conftest import serving
from tests.web.conftest import Server, Visit
from vivavoce.api.app import create_app
from vivavoce.keys import FILE_NAME, KeyFile
from vivavoce.models.tone import Fault, ToneModel
from vivavoce.provenance.mark import wav_info
from vivavoce.serving.local import LocalEngine
from vivavoce.serving.pool import Pool
from vivavoce.serving.scheduler import Load
from vivavoce.settings import Settings

Role = Literal[
    "button", "checkbox", "combobox", "link", "progressbar", "slider", "spinbutton", "textbox"
]

pytestmark = pytest.mark.slow

TEXT = "The lamp is on the table. Nobody is at home."
LONG_TEXT = (
    "All work and no play makes a long text. " * 50
)  # two minutes of beeps, one minute of work
SPOKEN_MS = 20_000
CONTROLS: Sequence[tuple[Role, str]] = (
    ("textbox", "Text"), ("combobox", "Model"), ("combobox", "Speaker"), ("combobox", "Language"),
    ("textbox", "Instruction"), ("slider", "Speed slider"), ("spinbutton", "Speed"),
    ("spinbutton", "Seed"), ("combobox", "Sample rate"), ("combobox", "Download format"),
    ("checkbox", "Speak while I type"), ("checkbox", "Highlight words"), ("textbox", "API key"),
    ("button", "Speak"), ("button", "Stop"), ("button", "Download"),
    ("progressbar", "Played"), ("link", "Books"), ("link", "API"),
)  # fmt: skip


def text_field(page: Page) -> Locator:
    return page.get_by_role("textbox", name="Text", exact=True)


def status(page: Page) -> Locator:
    return page.get_by_role("region", name="Playback").get_by_role("status")


def fact(page: Page, name: str) -> Locator:
    return page.locator("dl > div", has=page.get_by_text(name, exact=True)).locator("dd")


def speak(page: Page, text: str = TEXT, model: str = "hibari") -> None:
    text_field(page).fill(text)
    page.get_by_label("Model", exact=True).select_option(model)
    page.get_by_role("button", name="Speak").click()


class Piece(TypedDict):
    """Scheduled samples, with their start on the audio clock and their rate in hertz."""

    when: float
    rate: int
    context: int
    samples: list[int]


def scheduled(page: Page) -> list[Piece]:
    """Return the pieces so far."""
    pieces: list[Piece] = page.evaluate("scheduled")
    return pieces


def gaps_s(pieces: list[Piece]) -> NDArray[np.float64]:
    """Return the gaps between the pieces in seconds, negative where they overlap."""
    starts = np.array([piece["when"] for piece in pieces])
    ends = starts + np.array([len(piece["samples"]) / piece["rate"] for piece in pieces])
    gaps: NDArray[np.float64] = starts[1:] - ends[:-1]
    return gaps


def played(page: Page) -> bytes:
    """Their samples as 16-bit PCM."""
    return np.concatenate(
        [np.array(piece["samples"], "<i2") for piece in scheduled(page)]
    ).tobytes()


def test_a_spoken_text_shows_who_spoke_and_how_fast(page: Page, server: Server) -> None:
    speak(page)
    expect(status(page)).to_have_text("Finished.", timeout=SPOKEN_MS)
    for name, value in {"Model": "hibari", "Voice": "heart", "Language": "English"}.items():
        expect(fact(page, name)).to_have_text(value)
    expect(fact(page, "First sound")).to_have_text(re.compile(r"^[\d.]+ m?s$"))
    expect(fact(page, "Real-time factor")).to_have_text(
        re.compile(r"^\d+\.\d+ \([\d.]+ × real time\)$")
    )
    length_s = len(server.pcm(text=TEXT, model="hibari")) / 2 / 24_000
    expect(fact(page, "Audio length")).to_have_text(f"{length_s:.2f} s")


@pytest.mark.parametrize("rate_hz", [None, 16_000])
def test_what_is_played_is_what_the_server_sent_without_gaps(
    page: Page, server: Server, rate_hz: int | None
) -> None:
    if rate_hz:
        page.get_by_text("Advanced").click()
        page.get_by_label("Sample rate").select_option(str(rate_hz))
    speak(page)
    assert page.evaluate("heard(0.02)")
    expect(status(page)).to_have_text("Finished.", timeout=SPOKEN_MS)
    assert played(page) == server.pcm(text=TEXT, model="hibari", sample_rate=rate_hz, stream=True)
    pieces = scheduled(page)
    assert {(piece["rate"], piece["context"]) for piece in pieces} == {
        (rate_hz or 24_000, rate_hz or 24_000)
    }
    np.testing.assert_allclose(gaps_s(pieces), 0, atol=1e-6)


@pytest.mark.parametrize("size", [101, 4097])
def test_a_stream_may_be_cut_inside_a_sample(page: Page, size: int) -> None:
    pcm = np.random.default_rng(1).integers(-9000, 9000, 12_000).astype("<i2").tobytes()
    page.evaluate(
        """async ([bytes, size]) => {
          const { Player } = await import("/web/player.js");
          const { promise, resolve } = Promise.withResolvers();
          const player = new Player(24000, { onProgress() {}, onFirstSound() {}, onEnd: resolve });
          for (let at = 0; at < bytes.length; at += size) {
            player.write(new Uint8Array(bytes.slice(at, at + size)));
          }
          player.finish();
          await promise;
        }""",
        [list(pcm), size],
    )
    assert played(page) == pcm


def test_a_server_slower_than_speech_is_played_whole_and_in_order(context: BrowserContext) -> None:
    pool = Pool({"tone": lambda: LocalEngine(ToneModel(real_time_factor=1.5))})
    with serving(create_app(Settings(), pool)) as url:
        page = context.new_page()
        page.goto(url)
        speak(page, model="tone")
        expect(status(page)).to_have_text("Finished.", timeout=SPOKEN_MS)
        sent = Server(url, pool, threading.Event()).pcm(text=TEXT, model="tone")
        assert played(page) == sent
        gaps = gaps_s(scheduled(page))
        assert gaps.min() > -1e-6
        assert gaps.max() > 0.1
        page.close()


def test_sound_comes_before_the_server_has_finished(page: Page, server: Server) -> None:
    server.ended.clear()
    speak(page, LONG_TEXT, "tone")
    expect(status(page)).to_have_text("Speaking…")
    assert page.evaluate("heard(0.02)")
    assert not server.ended.is_set()
    page.get_by_role("button", name="Stop").click()


def test_stop_is_silent_at_once_and_frees_the_slot(page: Page, server: Server) -> None:
    speak(page, LONG_TEXT, "tone")
    expect(status(page)).to_have_text("Speaking…")
    assert page.evaluate("heard(0.02)")
    server.ended.clear()
    pressed = time.monotonic()
    page.get_by_role("button", name="Stop").click()
    assert page.evaluate("silentSoon()")
    assert server.ended.wait(5)
    assert time.monotonic() - pressed < 2
    expect(status(page)).to_have_text("Stopped.")
    expect(page.get_by_role("button", name="Stop")).to_be_disabled()
    expect(page.get_by_role("button", name="Download")).to_be_disabled()
    before = len(scheduled(page))
    server.pcm(
        text="So.", model="tone"
    )  # a request that comes after has seen the other one's slot freed
    engine = server.pool.ready["tone"]
    assert isinstance(engine, LocalEngine)
    assert engine.load == Load(waiting=0, running=0)
    assert len(scheduled(page)) == before


def test_speaking_again_replaces_what_was_playing(page: Page, server: Server) -> None:
    speak(page, LONG_TEXT, "tone")
    expect(status(page)).to_have_text("Speaking…")
    page.evaluate("scheduled.length = 0")
    speak(page)
    expect(status(page)).to_have_text("Finished.", timeout=SPOKEN_MS)
    sent = server.pcm(text=TEXT, model="hibari", stream=True)
    assert played(page).endswith(sent)


def test_choosing_a_model_refreshes_speakers_and_languages(page: Page) -> None:
    speakers = page.get_by_label("Speaker").locator("option")
    languages = page.get_by_label("Language").locator("option")
    page.get_by_label("Model", exact=True).select_option("tone")
    expect(speakers).to_have_text(["Choose for me", "Sine", "Hum", "Broken", "Gong"])
    expect(languages).to_have_count(11)
    expect(page.get_by_label("Speaker").locator("optgroup[label=German] option")).to_have_text(
        ["Gong"]
    )
    page.get_by_label("Model", exact=True).select_option("hibari")
    expect(speakers).to_have_text(["Choose for me", "Heart"])
    expect(languages).to_have_text(["Choose for me", "English"])
    page.get_by_label("Model", exact=True).select_option("auto")
    expect(speakers).to_contain_text(["Choose for me", "Heart (hibari)", "Sine (tone)"])


def test_an_empty_text_is_refused_beside_the_text(page: Page) -> None:
    speak(page, "")
    refusal = page.get_by_role("alert").filter(has_text="send at least one word")
    expect(refusal).to_be_visible()
    expect(text_field(page)).to_be_focused()
    expect(text_field(page)).to_have_attribute("aria-invalid", "true")
    expect(text_field(page)).to_have_accessible_description(re.compile("at least one word"))
    expect(page.locator(".field", has=text_field(page))).to_contain_text("at least one word")
    speak(page)
    expect(refusal).to_be_hidden()
    expect(status(page)).to_have_text("Finished.", timeout=SPOKEN_MS)


def test_a_wrong_value_in_the_folded_part_unfolds_it(page: Page) -> None:
    page.get_by_text("Advanced").click()
    page.get_by_label("Speed", exact=True).fill("9")
    page.get_by_text("Advanced").click()
    expect(page.get_by_label("Speed", exact=True)).to_be_hidden()
    speak(page)
    expect(page.get_by_label("Speed", exact=True)).to_be_focused()
    expect(page.get_by_label("Speed", exact=True)).to_have_accessible_description(
        re.compile("less than or equal to 4")
    )


@pytest.mark.parametrize(
    ("highlight", "told"), [(True, "failed while speaking"), (False, "broke off")]
)
def test_a_model_that_breaks_off_is_told(page: Page, highlight: bool, told: str) -> None:
    page.get_by_label("Model", exact=True).select_option("tone")
    page.get_by_label("Speaker").select_option("broken")
    page.get_by_text("Advanced").click()
    expect(page.get_by_label("Highlight words")).to_be_checked()
    page.get_by_label("Highlight words").set_checked(highlight)
    speak(page, model="tone")
    expect(page.get_by_role("alert").filter(has_text=told)).to_be_visible()
    expect(status(page)).to_have_text("Not spoken.")
    expect(page.get_by_role("button", name="Download")).to_be_disabled()


def test_panel_shows_what_will_be_said_while_the_author_types(page: Page) -> None:
    page.get_by_text("What will be said").click()
    segments = page.get_by_role("list", name="Segments").get_by_role("listitem")
    expect(segments.first).to_contain_text("The rain had stopped")
    text_field(page).fill("First of all.\n\nNow <b>something</b> else.")
    expect(segments).to_have_text(["First of all. (0.6 s)", "Now something else."])
    expect(page.locator("#explained")).to_contain_text("heart (hibari)")
    text_field(page).fill("🎉")
    expect(page.locator("#explained")).to_contain_text("nothing that can be spoken")
    expect(segments).to_have_count(0)


def test_an_instruction_that_the_model_cannot_follow_is_told(page: Page) -> None:
    page.get_by_text("Advanced").click()
    page.get_by_label("Instruction").fill("warm and unhurried")
    speak(page)
    expect(
        page.get_by_text("Hibari cannot follow the instruction, so it was left out.")
    ).to_be_visible()


def test_the_page_asks_for_a_key_where_the_server_does(
    context: BrowserContext, tmp_path: Path
) -> None:
    key = KeyFile(tmp_path / FILE_NAME).create("page")
    pool = Pool({"tone": lambda: LocalEngine(ToneModel())})
    with serving(create_app(Settings(data_dir=tmp_path), pool)) as url:
        page = context.new_page()
        page.goto(url)
        speak(page, model="tone")
        expect(page.get_by_text("An API key is needed here")).to_be_visible()
        expect(page.get_by_label("API key")).to_be_focused()
        page.get_by_label("API key").fill(key)
        page.get_by_role("button", name="Speak").click()
        expect(status(page)).to_have_text("Finished.", timeout=SPOKEN_MS)
        assert key not in page.evaluate("JSON.stringify(localStorage)")


def test_names_in_any_script_are_shown_as_they_are(context: BrowserContext) -> None:
    pool = Pool(
        {"tone": lambda: LocalEngine(ToneModel(faults={"女声 100%": Fault("raise", 10**9)}))}
    )
    with serving(create_app(Settings(), pool)) as url:
        page = context.new_page()
        page.goto(url)
        page.get_by_label("Speaker").locator("option", has_text="女声 100%").wait_for(
            state="attached"
        )
        page.get_by_label("Speaker").select_option(label="女声 100%")
        speak(page, model="tone")
        expect(status(page)).to_have_text("Finished.", timeout=SPOKEN_MS)
        expect(fact(page, "Voice")).to_have_text("女声 100%")
        page.close()


def test_the_page_works_by_keyboard_alone(page: Page) -> None:
    page.keyboard.press("Tab")
    expect(text_field(page)).to_be_focused()
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.insert_text(LONG_TEXT)
    page.keyboard.press("Tab")
    expect(page.get_by_label("Speak while I type")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_label("Model", exact=True)).to_be_focused()
    page.keyboard.type("tone")
    expect(page.get_by_label("Model", exact=True)).to_have_value("tone")
    expect(page.get_by_label("Speaker").locator("option", has_text="Hum")).to_be_attached()
    page.keyboard.press("Control+Enter")
    expect(status(page)).to_have_text("Speaking…")
    page.keyboard.press("Escape")
    expect(status(page)).to_have_text("Stopped.")
    for name in ("Speaker", "Language"):
        page.keyboard.press("Tab")
        expect(page.get_by_role("combobox", name=name)).to_be_focused()
    page.keyboard.press("Tab")  # Advanced, folded
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Speak")).to_be_focused()
    page.keyboard.press("Enter")
    expect(status(page)).to_have_text("Speaking…")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Stop")).to_be_focused()
    page.keyboard.press("Enter")
    expect(status(page)).to_have_text("Stopped.")


def test_every_control_has_a_role_and_a_name(page: Page) -> None:
    page.get_by_text("Advanced").click()
    for role, name in CONTROLS:
        expect(page.get_by_role(role, name=name, exact=True)).to_be_visible()


def test_the_downloaded_wav_is_exact_and_is_what_was_heard(page: Page, server: Server) -> None:
    speak(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    assert download.value.suggested_filename == "hibari-heart.wav"
    content = Path(download.value.path()).read_bytes()
    riff, size, kind = struct.unpack("<4sI4s", content[:12])
    assert (riff, size, kind) == (b"RIFF", len(content) - 8, b"WAVE")
    with wave.open(io.BytesIO(content)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 24_000)
        assert file.readframes(file.getnframes()) == server.pcm(
            text=TEXT, model="hibari", stream=True
        )
    comment = "vivavoce; synthetic speech; model=hibari; voice=heart"
    assert content[44 + file.getnframes() * 2 :] == wav_info(comment)


def test_another_download_format_is_asked_for_again(page: Page) -> None:
    page.get_by_text("Advanced").click()
    page.get_by_label("Download format").select_option("flac")
    speak(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    assert download.value.suggested_filename == "hibari-heart.flac"
    assert Path(download.value.path()).read_bytes().startswith((b"fLaC", b"ID3"))


def test_limits_and_formats_are_those_of_the_server(context: BrowserContext) -> None:
    app = create_app(Settings(), Pool({"tone": lambda: LocalEngine(ToneModel())}))
    described = app.openapi()["components"]["schemas"]["SynthesizeBody"]["properties"]
    described["speed"]["anyOf"][0].update(minimum=0.5, maximum=2.5)
    described["seed"]["anyOf"][0]["maximum"] = 7
    described["format"]["anyOf"][0]["enum"] = ["wav", "ogg", ""]
    with serving(app) as url:
        page = context.new_page()
        page.goto(url)
        page.get_by_text("Advanced").click()
        formats = page.get_by_label("Download format").locator("option")
        expect(formats).to_have_text(["WAV", "OGG"])
        for label, most in (("Speed", "2.5"), ("Speed slider", "2.5"), ("Seed", "7")):
            expect(page.get_by_label(label, exact=True)).to_have_attribute("max", most)
        expect(page.get_by_label("Speed slider")).to_have_attribute("min", "0.5")
        page.close()


def test_choices_are_remembered_and_the_text_is_not(page: Page) -> None:
    page.get_by_text("Advanced").click()
    page.get_by_label("Model", exact=True).select_option("tone")
    page.get_by_label("Speaker").select_option("hum")
    page.get_by_label("Speed", exact=True).fill("1.5")
    page.get_by_label("Download format").select_option("mp3")
    text_field(page).fill("private words")
    page.reload()
    expect(page.get_by_label("Speaker")).to_have_value("hum")
    expect(page.get_by_label("Model", exact=True)).to_have_value("tone")
    expect(page.get_by_label("Speed", exact=True)).to_have_value("1.5")
    expect(page.get_by_label("Speed slider")).to_have_value("1.5")
    expect(page.get_by_label("Download format")).to_have_value("mp3")
    expect(text_field(page)).not_to_have_value("private words")
    assert "private words" not in page.evaluate("JSON.stringify(localStorage)")


def test_a_model_that_is_still_loading_is_told(context: BrowserContext) -> None:
    loaded = threading.Event()

    def tone() -> LocalEngine:
        loaded.wait(30)
        return LocalEngine(ToneModel())

    with serving(create_app(Settings(), Pool({"tone": tone}))) as url:
        page = context.new_page()
        page.goto(url)
        state = page.get_by_role("contentinfo").get_by_role("status")
        try:
            expect(state).to_contain_text("tone still loading")
        finally:
            loaded.set()
        expect(state).to_contain_text("tone ready")
        expect(page.get_by_label("Speaker").locator("option")).to_have_text(
            ["Choose for me", "Sine", "Hum"]
        )
        page.close()


def test_a_server_that_is_gone_is_told(context: BrowserContext) -> None:
    page = context.new_page()
    with serving(create_app(Settings(), Pool({"tone": lambda: LocalEngine(ToneModel())}))) as url:
        page.goto(url)
        expect(page.get_by_label("Speaker").locator("option")).to_have_count(3)
    page.get_by_role("button", name="Speak").click()
    expect(page.get_by_role("alert").filter(has_text="The server does not answer")).to_be_visible()


def test_a_visit_has_no_complaints_and_asks_nobody_else(visit: Visit, server: Server) -> None:
    speak(visit.page)
    with visit.page.expect_download():
        visit.page.get_by_role("button", name="Download").click()
    expect(status(visit.page)).to_have_text("Finished.", timeout=SPOKEN_MS)
    assert visit.problems == []
    assert [
        url for url in visit.urls if not url.startswith((f"{server.url}/", f"blob:{server.url}/"))
    ] == []
    assert any(url.endswith("/web/player.js") for url in visit.urls)


@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_is_wider_than_the_screen(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.get_by_text("Advanced").click()
    speak(page)
    expect(fact(page, "Model")).to_have_text("hibari")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_camera_reads_the_address_of_the_page_off_it(context: BrowserContext) -> None:
    url = "http://192.168.1.20:8000/"
    settings = Settings(public_url=url)
    with serving(create_app(settings, Pool({"tone": lambda: LocalEngine(ToneModel())}))) as here:
        page = context.new_page()
        page.goto(here)
        page.get_by_text("Open on another device").click()
        expect(page.get_by_text(url)).to_be_visible()
        with Image.open(io.BytesIO(page.locator(".qr").screenshot())) as picture:
            seen = zxingcpp.read_barcodes(picture.convert("L"))
    assert [code.text for code in seen] == [url]
