"""Check in a real browser that its `<track>` reads our WebVTT."""

import httpx
import pytest
from playwright.sync_api import Page

from tests.web.conftest import Server

pytestmark = pytest.mark.slow

TEXT = (
    'Tom & Jerry paid $4.50 on 3/4. "Not a cent more," she said. The rain had stopped by morning.'
)
READ_TRACK = """async (vtt) => {
  const video = document.createElement("video");
  const track = document.createElement("track");
  track.src = URL.createObjectURL(new Blob([vtt], { type: "text/vtt" }));
  const loaded = new Promise((resolve, reject) => {
    track.addEventListener("load", resolve);
    track.addEventListener("error", () => reject(new Error("the track was not read")));
  });
  video.append(track);
  document.body.append(video);
  track.track.mode = "hidden"; // read, and not shown
  await loaded;
  const shown = (cue) => cue.getCueAsHTML().textContent;
  return Array.from(track.track.cues, (cue) => [cue.startTime, cue.endTime, shown(cue)]);
}"""


def test_track_shows_the_text_while_it_is_heard(page: Page, server: Server) -> None:
    body = {"text": TEXT, "model": "hibari", "subtitles": "vtt"}
    answer = httpx.post(f"{server.url}/v1/tts/synthesize", json=body, timeout=60).json()
    page.goto("about:blank")  # our page's policy takes no media from a blob
    cues = page.evaluate(READ_TRACK, answer["subtitles"])
    assert " ".join(text.replace("\n", " ") for _, _, text in cues) == TEXT
    assert all(0 <= start < end for start, end, _ in cues)
    assert cues[-1][0] < answer["duration_s"]
