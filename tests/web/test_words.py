"""Check in a real browser that the page marks words as they are heard, and plays from them."""

import httpx
import numpy as np
import pytest
from playwright.sync_api import Page, expect

from tests.web.conftest import Server
from tests.web.test_page import SPOKEN_MS, played, scheduled, speak, status

pytestmark = pytest.mark.slow

TEXT = "Tom & Jerry paid $4.50. Nobody is at home."
# Records which word is marked, and what of the speech is heard then.
WATCH = """() => {
  window.marks = [];
  new MutationObserver((changes) => {
    for (const { target } of changes) {
      if (target.hasAttribute("aria-current")) marks.push([target.textContent, performance.now()]);
    }
  }).observe(document.getElementById("words"), { attributes: true, subtree: true });
  const { prototype } = AudioBufferSourceNode;
  window.beginning = new Promise((resolve) => {
    const start = prototype.start;
    prototype.start = function (when) {
      resolve(performance.now() + 1000 * (when - this.context.currentTime));
      return start.apply(this, arguments);
    };
  });
}"""


def highlight(page: Page) -> None:
    page.get_by_label("Model", exact=True).select_option("hibari")
    expect(page.get_by_label("Speaker").locator("option")).to_have_count(2)
    # The page itself checks the box when it knows the model.
    expect(page.get_by_role("form", name="Speech")).not_to_have_attribute("aria-busy", "true")
    page.get_by_text("Advanced").click()
    page.get_by_label("Highlight words").check()


def words_of(server: Server) -> list[dict[str, float | str]]:
    body = {"text": TEXT, "model": "hibari", "timestamps": "word"}
    answer = httpx.post(f"{server.url}/v1/tts/synthesize", json=body, timeout=60)
    found: list[dict[str, float | str]] = answer.json()["words"]
    return found


def test_each_word_is_marked_when_it_is_heard(page: Page, server: Server) -> None:
    highlight(page)
    page.evaluate(WATCH)
    speak(page, TEXT)
    expect(status(page)).to_have_text("Finished.", timeout=SPOKEN_MS)
    expect(page.get_by_role("group", name="Words")).to_have_text(TEXT)
    marks = page.evaluate("marks")
    beginning_ms = page.evaluate("beginning")
    times: dict[str, float] = {}
    for word in words_of(server):
        times.setdefault(str(word["word"]), float(word["start_s"]))
    assert [text for text, _ in marks] == list(times)
    late_s = [(at_ms - beginning_ms) / 1000 - times[text] for text, at_ms in marks]
    assert np.median(np.abs(late_s)) < 0.1


def test_what_is_heard_is_the_same_with_words(page: Page, server: Server) -> None:
    highlight(page)
    speak(page, TEXT)
    expect(status(page)).to_have_text("Finished.", timeout=SPOKEN_MS)
    assert played(page) == server.pcm(text=TEXT, model="hibari")


def test_click_on_a_word_plays_from_it(page: Page, server: Server) -> None:
    highlight(page)
    speak(page, TEXT)
    expect(status(page)).to_have_text("Finished.", timeout=SPOKEN_MS)
    page.evaluate("scheduled.length = 0")
    word = page.get_by_role("group", name="Words").get_by_role("button", name="Nobody")
    word.click()
    expect(status(page)).to_have_text("Speaking…")
    expect(word).to_have_attribute("aria-current", "true")
    expect(status(page)).to_have_text("Finished.", timeout=SPOKEN_MS)
    start_s = next(float(one["start_s"]) for one in words_of(server) if one["word"] == "Nobody")
    whole = server.pcm(text=TEXT, model="hibari")
    assert played(page) == whole[2 * round(start_s * 24_000) :]


def test_jump_back_while_speaking_loses_nothing(page: Page, server: Server) -> None:
    text = "One two three four. " * 8
    highlight(page)
    speak(page, text, model="tone")
    word = page.get_by_role("group", name="Words").get_by_role("button", name="One").first
    word.wait_for()
    expect(status(page)).to_have_text("Speaking…")
    word.evaluate("button => { scheduled.length = 0; button.click(); }")
    expect(status(page)).to_have_text("Finished.", timeout=SPOKEN_MS)
    assert len(scheduled(page)) > 1
    assert server.pcm(text=text, model="tone").endswith(played(page))


def test_words_are_marked_only_if_asked(page: Page) -> None:
    page.get_by_text("Advanced").click()
    expect(page.get_by_label("Highlight words")).to_be_checked()
    page.get_by_label("Highlight words").uncheck()
    speak(page, model="tone")
    expect(status(page)).to_have_text("Finished.", timeout=SPOKEN_MS)
    expect(page.locator("#words")).to_be_empty()
