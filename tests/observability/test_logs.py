"""Check the log of a real server: its content, and secrets that must be absent."""

import json
import logging
import signal
from pathlib import Path

import httpx
import pytest

from tests.api.test_lifecycle import pytestmark as posix_only
from tests.api.test_lifecycle import server
from vivavoce.observability.logs import REQUEST_ID, JsonLines, TextLines, log_fields

pytestmark = posix_only

SECRET = "Nobody else may read this"
KEY = "sk-mine-alone"


def asked(url: str) -> None:
    """Requests of every kind that hold the secret: spoken, refused, failing, and with a key."""
    headers = {"authorization": f"Bearer {KEY}", "xi-api-key": KEY, "x-request-id": "mine"}
    with httpx.Client(base_url=url, headers=headers, timeout=60) as client:
        for path, body in (
            ("/v1/tts/synthesize", {"text": SECRET}),
            ("/v1/tts/synthesize", {"text": SECRET, "speaker": SECRET}),
            ("/v1/tts/synthesize", {"text": SECRET, "instruct": SECRET, "stream": True}),
            ("/v1/audio/speech", {"input": SECRET, "voice": "sine"}),
            ("/v1/audio/speech", {"input": SECRET, "voice": "sine", "stream_format": SECRET}),
        ):
            client.post(path, json=body)
        client.get("/v1/tts/synthesize", params={"text": SECRET, "api_key": KEY})
        client.post("/v1/tts/synthesize", content=SECRET.encode())


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_neither_texts_nor_keys_are_logged(log_format: str, tmp_path: Path) -> None:
    with server(tmp_path, log_format=log_format, log_level="debug") as (process, url):
        asked(url)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    written = (tmp_path / "log").read_text()
    assert written.count("/v1/tts/synthesize") >= 4
    assert "mine" in written
    assert "Nobody" not in written
    assert KEY not in written


def test_json_lines_tell_of_every_request_by_its_id(tmp_path: Path) -> None:
    with server(tmp_path, log_format="json") as (process, url):
        asked(url)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines)
    answers = [
        line
        for line in lines
        if line["logger"] == "vivavoce.api.middleware.access_log" and "path" in line
    ]
    assert {line["request_id"] for line in answers} == {"mine"}
    # Sorted, because a streamed answer may be logged after the client has sent its next request.
    native, openai = "/v1/tts/synthesize", "/v1/audio/speech"
    assert sorted((line["path"], line["status"]) for line in answers) == [
        *((openai, status) for status in (200, 400)),
        *((native, status) for status in (200, 200, 404, 422, 422)),
    ]
    spoken = [line for line in lines if line.get("model") == "tone" and "audio_s" in line]
    assert [line["finish_reason"] for line in spoken] == ["complete"] * 3
    assert all(line["first_audio_s"] >= line["queue_s"] >= 0 for line in spoken)


def record(**extra: object) -> logging.LogRecord:
    made = logging.getLogger("vivavoce.test").makeRecord(
        "vivavoce.test", 20, "f", 1, "a %s\nb", ("x",), None, extra=extra
    )
    assert isinstance(made, logging.LogRecord)
    return made


def test_a_json_line_is_one_line_whatever_the_message() -> None:
    line = JsonLines().format(record(**log_fields(model="tone", seconds=0.5)))
    assert "\n" not in line
    assert json.loads(line)["message"] == "a x\nb"
    assert (json.loads(line)["model"], json.loads(line)["seconds"]) == ("tone", 0.5)


def test_a_text_line_ends_with_the_request_it_is_about() -> None:
    assert not TextLines().format(record()).endswith("]")
    token = REQUEST_ID.set("req_1")
    try:
        assert TextLines().format(record()).endswith(" [req_1]")
    finally:
        REQUEST_ID.reset(token)
