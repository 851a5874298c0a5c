"""Check in a real browser that the page speaks a text while it is typed."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import BrowserContext, Page, WebSocket, expect
from starlette.types import ASGIApp, Receive, Scope, Send
from websockets.sync.client import connect

from tests.conftest import serving
from tests.web.conftest import Visit
from tests.web.test_page import SPOKEN_MS, fact, played, status, text_field
from tests.web.test_words import WATCH
from vivavoce.api.app import create_app
from vivavoce.keys import FILE_NAME, KeyFile
from vivavoce.models.hibari import HibariModel
from vivavoce.models.tone import ToneModel
from vivavoce.network.certificate import self_signed
from vivavoce.serving.local import LocalEngine
from vivavoce.serving.pool import Pool
from vivavoce.settings import Settings

pytestmark = pytest.mark.slow

TEXT = "The lamp is on the table. Nobody is at home. "
LONG_TEXT = "All work and no play makes a long text. " * 5
TYPE = """async ([take, ...steps]) => {
  const { Typed } = await import("/web/live/typed.js");
  const typed = new Typed(steps.shift());
  return steps.map((value) => (typed.change(value, true), typed[take]()));
}"""


@dataclass
class Wire:
    """What went through the page's WebSockets."""

    url: str = ""
    sent: list[dict[str, object]] = field(default_factory=list)
    received: list[dict[str, object]] = field(default_factory=list)
    audio: bytes = b""

    def on_socket(self, socket: WebSocket) -> None:
        self.url = socket.url
        socket.on("framesent", lambda frame: self.sent.append(json.loads(frame)))
        socket.on("framereceived", self._on_received)

    def _on_received(self, frame: str | bytes) -> None:
        if isinstance(frame, bytes):
            self.audio += frame
        else:
            self.received.append(json.loads(frame))

    def types(self) -> list[object]:
        return [message["type"] for message in self.sent]

    def text(self) -> str:
        """Return all text that was sent."""
        return "".join(str(message["text"]) for message in self.sent if message["type"] == "text")


@pytest.fixture
def wire(page: Page) -> Wire:
    wire = Wire()
    page.on("websocket", wire.on_socket)
    return wire


def turn_on(page: Page, model: str = "tone") -> None:
    page.get_by_label("Model", exact=True).select_option(model)
    other = {"tone": "Heart", "hibari": "Hum"}[model]
    expect(page.get_by_label("Speaker").locator("option", has_text=other)).to_have_count(0)
    expect(page.get_by_label("Highlight words")).to_be_checked()
    text_field(page).fill("")
    page.get_by_label("Speak while I type").check()
    text_field(page).focus()


def type_at_end(page: Page, text: str) -> None:
    text_field(page).press("Control+End")
    page.keyboard.type(text)


def press_speak(page: Page) -> None:
    page.get_by_role("button", name="Speak").click()


def test_words_are_spoken_while_the_text_is_typed(visit: Visit, wire: Wire) -> None:
    page = visit.page
    turn_on(page)
    page.keyboard.type(TEXT + "So")
    expect(status(page)).to_have_text("Speaking…", timeout=SPOKEN_MS)
    assert wire.text().strip() == TEXT.strip()
    assert {"flush", "end"}.isdisjoint(wire.types())
    press_speak(page)
    expect(status(page)).to_have_text("Finished.", timeout=SPOKEN_MS)
    assert wire.text() == TEXT + "So"
    assert wire.audio
    assert played(page) == wire.audio
    expect(page.get_by_role("group", name="Words")).to_have_text(TEXT + "So")
    expect(fact(page, "Model")).to_have_text("tone")
    assert visit.problems == []
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    assert Path(download.value.path()).read_bytes()[44:] == wire.audio


def test_each_word_is_marked_when_it_is_heard(page: Page, wire: Wire) -> None:
    turn_on(page, "hibari")
    page.evaluate(WATCH)
    page.keyboard.insert_text(TEXT)
    press_speak(page)
    expect(status(page)).to_have_text("Finished.", timeout=SPOKEN_MS)
    marks = page.evaluate("marks")
    beginning_ms = page.evaluate("beginning")
    words = [word for message in wire.received for word in message.get("words", [])]  # type: ignore[attr-defined]
    assert [text for text, _ in marks] == [word["word"] for word in words]
    late_s = [
        (at_ms - beginning_ms) / 1000 - word["start_s"]
        for (_, at_ms), word in zip(marks, words, strict=True)
    ]
    assert np.median(np.abs(late_s)) < 0.1


def test_stop_shows_what_was_heard(page: Page, wire: Wire) -> None:
    turn_on(page)
    page.keyboard.insert_text(LONG_TEXT)
    press_speak(page)
    page.locator("#words [aria-current]", has_text="play").first.wait_for()
    page.keyboard.press("Escape")
    expect(status(page)).to_contain_text("Stopped. Not heard: “")
    played_ms = next(m["played_ms"] for m in wire.sent if m["type"] == "interrupt")
    assert isinstance(played_ms, int)
    audio_ms = len(wire.audio) / 2 / 24
    assert 0 < played_ms < audio_ms
    (outcome,) = next(m["contexts"] for m in wire.received if m["type"] == "interrupted")  # type: ignore[misc]
    assert outcome["audio_ms"] == played_ms
    assert outcome["heard"] + outcome["unheard"] == LONG_TEXT
    assert outcome["heard"].startswith("All work and no")
    assert page.locator("#words").text_content() == LONG_TEXT
    assert page.locator("#words .unheard").text_content() == outcome["unheard"]
    assert page.evaluate("silentSoon()")
    type_at_end(page, "And now this. ")
    assert page.locator("#words .unheard").count() == 0
    expect(status(page)).to_have_text("Speaking…", timeout=SPOKEN_MS)
    assert wire.types().count("begin") == 2
    assert wire.text().strip() == LONG_TEXT + "And now this."


def test_change_further_up_is_not_spoken_before_speak(page: Page, wire: Wire) -> None:
    turn_on(page)
    page.keyboard.type("One two. ")
    expect(status(page)).to_have_text("Speaking…", timeout=SPOKEN_MS)
    page.keyboard.press("Home")
    page.keyboard.type("x ")
    expect(status(page)).to_contain_text("The change further up is not spoken.")
    page.keyboard.press("End")
    page.keyboard.type("Three. ")
    press_speak(page)
    expect(status(page)).to_have_text("Finished.", timeout=SPOKEN_MS)
    assert wire.text() == "One two. Three. "
    press_speak(page)
    expect(status(page)).to_have_text("Finished.", timeout=SPOKEN_MS)
    assert wire.text() == "One two. Three. x One two. Three. "


def test_text_from_before_is_spoken_only_by_speak(page: Page, wire: Wire) -> None:
    page.get_by_label("Model", exact=True).select_option("tone")
    text_field(page).fill("One two.")
    page.get_by_label("Speak while I type").check()
    type_at_end(page, " Three four. ")
    press_speak(page)
    expect(status(page)).to_have_text("Finished.", timeout=SPOKEN_MS)
    assert wire.text() == " Three four. "
    press_speak(page)
    expect(status(page)).to_have_text("Finished.", timeout=SPOKEN_MS)
    assert wire.text() == " Three four. One two. Three four. "


@pytest.mark.parametrize(
    ("values", "new"),
    [
        (["", "H", "Hi", "Hi y", "Hi you."], ["", "", "Hi ", "you."]),
        (["Old.", "Old. N", "Old. New "], [" ", "New "]),
        (["Old.", "T", "Two "], ["", " Two "]),  # all of it is replaced
        (["", "a wrold ", "a w", "a world "], ["a wrold ", "", "world "]),
        (["", "a b ", "a b", "a b, c "], ["a b ", "", ", c "]),  # the word is the same
        (["", "a b ", "", "a b "], ["a b ", "", "a b "]),
        (["", "你", "你好"], ["你", "好"]),
    ],
)
def test_what_is_added_at_the_end_is_new(page: Page, values: list[str], new: list[str]) -> None:
    assert page.evaluate(TYPE, ["words", *values]) == new


@pytest.mark.parametrize(
    ("values", "new"),
    [
        (["", "Well ", "Well, a", "Well, a b.", "Well, a b. C "], ["", "Well,", " a b.", ""]),
        (["", "你", "你好。", "你好。吗"], ["", "你好。", ""]),
    ],
)
def test_clauses_are_complete_with_their_mark(
    page: Page, values: list[str], new: list[str]
) -> None:
    assert page.evaluate(TYPE, ["clauses", *values]) == new


def test_words_are_spoken_when_their_author_pauses(page: Page, wire: Wire) -> None:
    turn_on(page)
    page.keyboard.type("One two three four fi", delay=30)
    assert wire.sent == []
    expect(status(page)).to_have_text("Speaking…", timeout=SPOKEN_MS)
    assert wire.text() == "One two three four "


def test_other_voice_speaks_what_is_typed_next(page: Page, wire: Wire) -> None:
    turn_on(page)
    page.keyboard.type("One two. ")
    press_speak(page)
    expect(status(page)).to_have_text("Finished.", timeout=SPOKEN_MS)
    page.get_by_label("Speaker").select_option("hum")
    type_at_end(page, "Three. ")
    expect(fact(page, "Voice")).to_have_text("hum")


def test_text_without_words_gets_the_usual_error(page: Page, wire: Wire) -> None:
    turn_on(page)
    page.keyboard.type("... ")
    press_speak(page)
    expect(page.locator("#text-error")).not_to_be_empty()
    expect(status(page)).to_have_text("Not spoken.")
    assert wire.sent == []


def test_failure_of_the_model_is_told(page: Page, wire: Wire) -> None:
    turn_on(page)
    page.get_by_label("Speaker").select_option("broken")
    type_at_end(page, "One two three four five six seven. ")
    expect(page.locator("#general-error")).not_to_be_empty(timeout=SPOKEN_MS)
    expect(status(page)).to_have_text("Not spoken.")
    page.get_by_label("Speaker").select_option("hum")
    type_at_end(page, "Eight nine. ")
    expect(status(page)).to_have_text("Speaking…", timeout=SPOKEN_MS)


def test_key_is_asked_for_before_anything_is_typed(context: BrowserContext, tmp_path: Path) -> None:
    key = KeyFile(tmp_path / FILE_NAME).create("page")
    pool = Pool({"tone": lambda: LocalEngine(ToneModel())})
    with serving(create_app(Settings(data_dir=tmp_path), pool)) as url:
        page = context.new_page()
        wire = Wire()
        page.on("websocket", wire.on_socket)
        page.goto(url)
        page.get_by_label("Speak while I type").check()
        expect(page.get_by_text("An API key is needed here")).to_be_visible()
        type_at_end(page, " More. ")
        expect(status(page)).to_have_text("Not spoken.")
        expect(page.get_by_text("An API key is needed here")).to_be_visible()
        page.get_by_label("API key").fill("wröng key")
        type_at_end(page, "More. ")
        expect(page.get_by_text("characters that no key has")).to_be_visible()
        page.get_by_label("API key").fill(key)
        type_at_end(page, "More. ")
        press_speak(page)
        expect(status(page)).to_have_text("Finished.", timeout=SPOKEN_MS)
        assert key not in wire.url


def test_refused_connection_is_told(context: BrowserContext) -> None:
    pool = Pool({"tone": lambda: LocalEngine(ToneModel())})
    with serving(create_app(Settings(max_live_connections=1), pool)) as url:
        page = context.new_page()
        page.goto(url)
        turn_on(page)
        with connect(f"{url.replace('http', 'ws')}/v1/tts/stream"):
            page.keyboard.type("One two. ")
            alert = page.get_by_role("alert").filter(has_text="did not accept a live connection")
            expect(alert).to_be_visible()
        expect(status(page)).to_have_text("Not spoken.")


def test_server_that_stops_finishes_what_was_typed(context: BrowserContext) -> None:
    page = context.new_page()
    with serving(create_app(Settings(), Pool({"tone": lambda: LocalEngine(ToneModel())}))) as url:
        page.goto(url)
        turn_on(page)
        page.keyboard.type("One two. ")
        expect(status(page)).to_have_text("Speaking…", timeout=SPOKEN_MS)
    page.keyboard.type("Three four. ")
    expect(page.get_by_role("alert").filter(has_text="The server")).to_be_visible()


def below(prefix: str, app: ASGIApp) -> Callable[[Scope, Receive, Send], object]:
    """Return `app` behind a proxy that removes `prefix` from paths."""

    async def proxy(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            assert scope["path"].startswith(prefix + "/")
            path = scope["path"].removeprefix(prefix)
            scope = {**scope, "path": path, "raw_path": path.encode()}
        await app(scope, receive, send)

    return proxy


def test_page_speaks_what_is_typed_over_https_behind_a_prefix(
    context: BrowserContext, tmp_path: Path
) -> None:
    files = self_signed(tmp_path, ("localhost", "127.0.0.1"))
    app = create_app(Settings(), Pool({"hibari": lambda: LocalEngine(HibariModel())}))
    options = {"ssl_certfile": files.certificate, "ssl_keyfile": files.key}
    browser = context.browser
    assert browser is not None
    trusting = browser.new_context(ignore_https_errors=True)
    with serving(below("/speech", app), **options) as url:  # type: ignore[arg-type]
        page = trusting.new_page()
        wire = Wire()
        page.on("websocket", wire.on_socket)
        page.goto(f"{url.replace('http:', 'https:')}/speech/")
        page.get_by_label("Speak while I type").check()
        type_at_end(page, " And the end. ")
        press_speak(page)
        expect(status(page)).to_have_text("Finished.", timeout=SPOKEN_MS)
        assert wire.url == f"{url.replace('http:', 'wss:')}/speech/v1/tts/stream"
        trusting.close()
