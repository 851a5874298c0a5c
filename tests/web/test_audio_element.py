"""Check that an `<audio>` element in Chromium plays and seeks `GET /v1/tts/synthesize`."""

from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Response

from tests.web.conftest import Server

TEXT = "One lamp is on the table. " * 60
PLAY = """
async ([url, at]) => {
  const audio = document.createElement("audio");
  audio.muted = true;
  audio.src = url;
  document.body.append(audio);
  const event = (name) => new Promise((resolve, reject) => {
    audio.addEventListener(name, resolve, { once: true });
    audio.addEventListener("error", () => reject(new Error(audio.error?.message)), { once: true });
  });
  await Promise.all([event("loadedmetadata"), audio.play()]);
  audio.currentTime = at;
  await event("seeked");
  await event("timeupdate");
  return { duration: audio.duration, time: audio.currentTime, seekable: audio.seekable.end(0) };
}
"""


@pytest.mark.parametrize("audio_format", ["wav", "mp3", "flac"])
def test_audio_element_seeks(server: Server, chromium: Browser, audio_format: str) -> None:
    answers: list[Response] = []
    page = chromium.new_page()
    page.on("response", lambda response: answers.append(response))
    page.goto(server.url)
    url = f"{server.url}/v1/tts/synthesize?model=hibari&format={audio_format}&text={quote(TEXT)}"
    played = page.evaluate(PLAY, [url, 60.0])
    page.close()
    assert played["duration"] > 70
    assert played["seekable"] == played["duration"]
    assert played["time"] >= 60
    parts = [answer for answer in answers if "synthesize" in answer.url]
    assert {answer.status for answer in parts} == {206}
    assert len({answer.headers["etag"] for answer in parts}) == 1
