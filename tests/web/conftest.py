"""Provide Chromium, and servers with a fast voice and a slow one."""

import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import httpx
import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Error,
    Page,
    Playwright,
    Request,
    sync_playwright,
)
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.conftest import serving
from vivavoce.api.app import create_app
from vivavoce.models.hibari import HibariModel
from vivavoce.models.tone import Fault, ToneModel
from vivavoce.serving.local import LocalEngine
from vivavoce.serving.pool import Pool
from vivavoce.settings import Settings
from vivavoce.types import Voice

FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync "
    "--autoplay-policy=no-user-gesture-required"
)
# Records the audio of a page: every scheduled piece, and the level at the end of the audio graph.
RECORDER = """
window.scheduled = [];
const start = AudioBufferSourceNode.prototype.start;
AudioBufferSourceNode.prototype.start = function (when) {
  const samples = Array.from(this.buffer.getChannelData(0), (sample) => Math.round(sample * 32768));
  const [rate, context] = [this.buffer.sampleRate, this.context.sampleRate];
  window.scheduled.push({ when, rate, context, samples });
  return start.apply(this, arguments);
};
const connect = AudioNode.prototype.connect;
AudioNode.prototype.connect = function (to) {
  if (to instanceof AudioDestinationNode) {
    // Parallel to the page's own connection, and muted, so that it always runs.
    window.analyser = new AnalyserNode(this.context, { fftSize: 2048 });
    const mute = new GainNode(this.context, { gain: 0 });
    connect.call(this, window.analyser);
    connect.call(window.analyser, mute);
    connect.call(mute, to);
  }
  return connect.apply(this, arguments);
};
const level = () => {
  const samples = new Float32Array(2048);
  window.analyser?.getFloatTimeDomainData(samples);
  return samples.reduce((peak, sample) => Math.max(peak, Math.abs(sample)), 0);
};
const nextFrame = () => new Promise(requestAnimationFrame);
window.heard = async (peak) => {
  for (const start = performance.now(); performance.now() < start + 10000; await nextFrame()) {
    if (level() > peak) return true;
  }
  return false;
};
window.silentSoon = async () => {
  let last = 0;
  const start = performance.now();
  for (; performance.now() < start + 500; await nextFrame()) {
    if (level() > 0) last = performance.now();
  }
  return last < start + 200; // the analyser's window is 85 ms long
};
"""


class Watched:
    """Middleware that sets `ended` when an answer with speech was sent or cancelled."""

    def __init__(self, app: ASGIApp, *, ended: threading.Event) -> None:
        self._app = app
        self._ended = ended

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        finally:
            if scope["type"] == "http" and scope["path"] == "/v1/tts/synthesize":
                self._ended.set()


@dataclass(frozen=True)
class Server:
    """A running server. `ended` is set at the end of each answer with speech."""

    url: str
    pool: Pool
    ended: threading.Event

    def pcm(self, **fields: object) -> bytes:
        """Return the samples of a request, as any other client gets them."""
        response = httpx.post(
            f"{self.url}/v1/tts/synthesize", json={"format": "pcm", **fields}, timeout=60
        )
        response.raise_for_status()
        return response.content


@dataclass(eq=False)
class Visit:
    """An open page, with what it asked for and what it complained of since."""

    page: Page
    urls: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def on_request(self, request: Request) -> None:
        self.urls.append(request.url)

    def on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.problems.append(message.text)

    def on_error(self, error: Error) -> None:
        self.problems.append(str(error))


def unhurried_tone() -> ToneModel:
    """Return a model at twice real time, with a failing voice and an unlisted one."""
    model = ToneModel(real_time_factor=0.5, faults={"broken": Fault("raise", 10)})
    gong = Voice("gong", "Gong", ("de",), listed=False)
    model.info = replace(model.info, voices=(*model.info.voices, gong))
    return model


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    pool = Pool(
        {
            "hibari": lambda: LocalEngine(HibariModel()),
            "tone": lambda: LocalEngine(unhurried_tone()),
        }
    )
    app = create_app(Settings(), pool)
    ended = threading.Event()
    app.add_middleware(Watched, ended=ended)
    with serving(app) as url:
        yield Server(url, pool, ended)


def browser_path() -> str:
    """Return the path of Chromium, or skip the test."""
    names = ("chromium", "chromium-browser", "google-chrome")
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        pytest.skip(f"none of {', '.join(names)} is installed; on Debian: apt-get install chromium")
    return path


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="module")
def chromium(playwright: Playwright) -> Iterator[Browser]:
    browser = playwright.chromium.launch(executable_path=browser_path(), args=FLAGS.split())
    yield browser
    browser.close()


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    """Yield a separate browser profile whose audio is recorded."""
    context = chromium.new_context()
    context.set_default_timeout(20_000)
    context.add_init_script(RECORDER)
    yield context
    context.close()


@pytest.fixture
def visit(context: BrowserContext, server: Server) -> Visit:
    """Return the page, when its lists have been filled."""
    visit = Visit(context.new_page())
    visit.page.on("request", visit.on_request)
    visit.page.on("console", visit.on_console)
    visit.page.on("pageerror", visit.on_error)
    visit.page.goto(server.url)
    visit.page.get_by_label("Speaker").locator("option", has_text="Heart").wait_for(
        state="attached"
    )
    return visit


@pytest.fixture
def page(visit: Visit) -> Page:
    return visit.page
