"""Let readers of others take our files: Chromium, music-metadata, Ace by DAISY, and foliate-js.

Those from npm are where `make test-clients` installs them.
"""

import json
import mimetypes
import os
import shutil
import subprocess
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, Route, sync_playwright

from tests.books.write.narrations import PAUSE_S, TEXT, narrated, png, short, starts_s
from tests.books.write.test_epub import everything
from tests.web.conftest import FLAGS, browser_path
from vivavoce.books.book import Block, Narration
from vivavoce.books.write import BookFormat, WriteOptions, write_book

pytestmark = pytest.mark.slow

CLIENTS = Path(__file__).parents[3] / os.environ.get("VENV_CLIENTS", ".venv-clients")
MODULES = CLIENTS / "node_modules"


def npm(name: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(
        not (shutil.which("node") and (MODULES / name).exists()),
        reason=f"{name} is installed by `make test-clients`",
    )


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path(), args=FLAGS.split())
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    page = chromium.new_page()
    page.set_default_timeout(60_000)
    yield page
    page.close()


def serve(page: Page, files: Mapping[str, bytes]) -> None:
    """Answer the page's requests with `files`, by their paths."""

    def answer(route: Route) -> None:
        path = route.request.url.removeprefix("http://book.test/")
        kind = "text/javascript" if path.endswith(".js") else mimetypes.guess_type(path)[0]
        if path in files:
            route.fulfill(body=files[path], content_type=kind or "application/octet-stream")
        else:
            route.fulfill(status=404)

    page.route("http://book.test/**", answer)


ENVELOPE = """async (name) => {
  const data = await (await fetch(name)).blob();
  const context = new OfflineAudioContext(1, 1, 24000);
  const samples = (await context.decodeAudioData(await data.arrayBuffer())).getChannelData(0);
  const audio = new Audio(URL.createObjectURL(data));
  await new Promise((resolve, reject) => {
    audio.onloadedmetadata = resolve;
    audio.onerror = () => reject(new Error(audio.error.message));
  });
  const peaks = [];
  for (let at = 0; at < samples.length; at += 240) {
    peaks.push(Math.max(...samples.slice(at, at + 240).map(Math.abs)));
  }
  return { duration: audio.duration, peaks };  // 10 ms each
}"""


@pytest.mark.parametrize("format", ["m4b", "mp3", "opus", "flac"])
def test_chromium_hears_chapters_where_they_begin(
    tmp_path: Path, page: Page, format: BookFormat
) -> None:
    narration = short(tmp_path, ["One", "Two", "Three"], TEXT, cover=png())
    write_book(narration, format, tmp_path / "book")
    files = {f"book.{format}": (tmp_path / "book").read_bytes(), "index.html": b"<!DOCTYPE html>"}
    serve(page, files)
    page.goto("http://book.test/index.html")
    heard = page.evaluate(ENVELOPE, f"book.{format}")
    total_s = sum(each.samples for each in narration.chapters) / narration.rate_hz
    assert heard["duration"] == pytest.approx(total_s, abs=0.1)
    is_loud = np.array(heard["peaks"]) > 0.05
    for start_s in starts_s(narration):
        first = np.argmax(is_loud[round((start_s + 0.1) * 100) :]) / 100 + start_s + 0.1
        assert first == pytest.approx(start_s + PAUSE_S, abs=0.05)


READ_ALOUD = """async () => {
  const smil = new DOMParser().parseFromString(
    await (await fetch("chapter001.smil")).text(), "application/xml");
  const seconds = (clock) => clock.split(":").reduce((sum, part) => sum * 60 + Number(part), 0);
  const clips = [...smil.querySelectorAll("par")].map((par) => ({
    id: par.querySelector("text").getAttribute("src").split("#")[1],
    src: par.querySelector("audio").getAttribute("src"),
    start: seconds(par.querySelector("audio").getAttribute("clipBegin")),
    end: seconds(par.querySelector("audio").getAttribute("clipEnd")),
  }));
  const audio = new Audio(clips[0].src);
  audio.muted = true;
  const active = "-epub-media-overlay-active";
  const shown = [];
  const step = () => {
    const now = audio.currentTime;
    const clip = clips.find((each) => each.start <= now && now < each.end);
    if (clip && shown.at(-1)?.id !== clip.id) {
      document.querySelector(`.${active}`)?.classList.remove(active);
      const span = document.getElementById(clip.id);
      span.classList.add(active);
      const colour = getComputedStyle(span).backgroundColor;
      shown.push({ id: clip.id, text: span.textContent, colour });
    }
    if (!audio.ended) setTimeout(step, 10);
  };
  const ended = new Promise((resolve) => { audio.onended = resolve; });
  await audio.play();
  step();
  await ended;
  return { shown, duration: audio.duration, end: clips.at(-1).end };
}"""


@pytest.mark.parametrize("audio", ["mp3", "m4a"])
def test_chromium_follows_the_overlay(tmp_path: Path, page: Page, audio: Any) -> None:
    narration = narrated(
        tmp_path, [("One", [Block("Hi there.", "heading"), Block("It burns. So.")])]
    )
    write_book(narration, "epub", tmp_path / "book.epub", WriteOptions(epub_audio=audio))
    with zipfile.ZipFile(tmp_path / "book.epub") as book:
        serve(page, {name: book.read(name) for name in book.namelist()})
    page.goto("http://book.test/EPUB/chapter001.xhtml")
    told = page.evaluate(READ_ALOUD)
    assert [each["text"] for each in told["shown"]] == ["Hi there.", "It burns.", "So."]
    assert {each["colour"] for each in told["shown"]} == {"rgb(255, 227, 143)"}
    assert told["duration"] == pytest.approx(told["end"], abs=0.1)


FOLIATE = """async () => {
  const { makeBook } = await import("/foliate-js/view.js");
  const data = await (await fetch("/book.epub")).blob();
  const book = await makeBook(new File([data], "book.epub", { type: "application/epub+zip" }));
  const overlay = book.getMediaOverlay();
  const heard = [];
  const documents = {};
  return await new Promise(async (resolve, reject) => {
    overlay.addEventListener("error", (event) => reject(event.detail));
    overlay.addEventListener("highlight", async ({ detail }) => {
      if (heard.at(-1) === detail.text) return;
      heard.push(detail.text);
      if (heard.length < 4) return;
      overlay.stop();
      const texts = [];
      for (const name of heard) {
        const [path, id] = name.split("#");
        const section = book.sections.find((each) => each.id === path);
        documents[path] ??= await section.createDocument();
        texts.push(documents[path].getElementById(id).textContent);
      }
      const { title, language, author } = book.metadata;
      resolve({ texts, title, language, author, toc: book.toc.map((each) => each.label),
                active: book.media?.activeClass, cover: (await book.getCover())?.size });
    });
    overlay.start(0);
  });
}"""


@npm("foliate-js")
def test_foliate_opens_the_book_and_plays_along(tmp_path: Path, page: Page) -> None:
    narration = narrated(
        tmp_path,
        [("One", [Block("Hi.", "heading"), Block("It burns.")]), ("Two", [Block("So. Yes.")])],
        cover=png(),
    )
    write_book(narration, "epub", tmp_path / "book.epub")
    folder = MODULES / "foliate-js"
    files = {f"foliate-js/{each.relative_to(folder).as_posix()}": each.read_bytes()
             for each in folder.rglob("*.js")}  # fmt: skip
    files |= {"book.epub": (tmp_path / "book.epub").read_bytes(), "index.html": b"<!DOCTYPE html>"}
    serve(page, files)
    page.goto("http://book.test/index.html")
    told = page.evaluate(FOLIATE)
    assert told["texts"] == ["Hi.", "It burns.", "So.", "Yes."]
    assert (told["title"], told["toc"]) == ("The Lamp", ["One", "Two"])
    assert told["active"] == "-epub-media-overlay-active"
    assert told["cover"] == len(png().data)


CHAPTERS = """
import { parseFile } from "music-metadata";
const { format, common, native } = await parseFile(process.argv[2], { includeChapters: true });
console.log(JSON.stringify({ chapters: format.chapters, common, tags: Object.values(native)[0] }));
"""


def read_by_node(path: Path) -> dict[str, Any]:
    script = CLIENTS / "read-chapters.mjs"  # Node.js looks for packages beside the script
    script.write_text(CHAPTERS)
    done = subprocess.run(["node", str(script), str(path)], capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr.decode()
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def seconds(clock: str) -> float:
    hours, minutes, rest = clock.split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(rest)


@npm("music-metadata")
@pytest.mark.parametrize("count", [1, 3, 300])
@pytest.mark.parametrize("format", ["m4b", "mp3", "opus", "flac"])
def test_music_metadata_reads_the_chapters(tmp_path: Path, format: BookFormat, count: int) -> None:
    titles = [f"Teil {number} 😀 שלום" for number in range(count)]
    narration: Narration = short(tmp_path, titles, cover=png())
    write_book(narration, format, tmp_path / f"book.{format}")
    found = read_by_node(tmp_path / f"book.{format}")
    match format:
        case "m4b":
            starts = [each["start"] / each["timeScale"] for each in found["chapters"]]
            names = [each["title"] for each in found["chapters"]]
        case "mp3":
            starts = [each["start"] for each in found["chapters"]]
            names = [each["title"] for each in found["chapters"]]
        case _:
            tags = {each["id"]: each["value"] for each in found["tags"]}
            numbers = range(1, count + 1)
            starts = [seconds(tags[f"CHAPTER{number:03}"]) for number in numbers]
            names = [tags[f"CHAPTER{number:03}NAME"] for number in numbers]
    assert starts == pytest.approx(starts_s(narration), abs=0.05)
    assert names == titles
    assert (found["common"]["title"], len(found["common"]["picture"])) == ("The Lamp", 1)


@npm("@daisy/ace")
def test_ace_finds_nothing(tmp_path: Path) -> None:
    write_book(everything(tmp_path), "epub", tmp_path / "book.epub")
    command = [
        str(MODULES / ".bin" / "ace-puppeteer"),
        "--outdir",
        str(tmp_path / "ace"),
        "--silent",
    ]
    environment = os.environ | {"PUPPETEER_EXECUTABLE_PATH": str(browser_path())}
    book = str(tmp_path / "book.epub")
    subprocess.run([*command, book], env=environment, check=True, timeout=300)
    report = json.loads((tmp_path / "ace" / "report.json").read_text("utf-8"))
    found = [
        (each["earl:test"]["dct:title"], each["earl:result"]["dct:description"])
        for document in report["assertions"]
        for each in document["assertions"]
    ]
    assert found == []
    assert report["earl:result"]["earl:outcome"] == "pass"
