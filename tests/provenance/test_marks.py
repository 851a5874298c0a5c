"""Check that each exit marks its audio as synthetic speech, and that a setting stops it."""

import base64
import io
import json
import shutil
import subprocess
import sys
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from typer.testing import CliRunner

from tests.api.live.wire import audio_of, wire
from tests.conftest import app_client, serving, tone_pool
from vivavoce.api.app import create_app
from vivavoce.audio import comment_in, open_encoder
from vivavoce.cli import app as command_line
from vivavoce.client import Client
from vivavoce.errors import MissingDependency
from vivavoce.settings import Settings

TEXT = "The lamp is on the table."
COMMENT = "vivavoce; synthetic speech; model=tone; voice=sine"
HEADER = "vivavoce; model=tone"
TAGGED = ("wav", "mp3", "opus", "flac", "m4a")
BARE = ("pcm", "aac", "ulaw", "alaw")  # have no place for a comment
CASES = [(name, stream) for name in (*TAGGED, *BARE) for stream in (False, True)]
CASES.remove(("m4a", True))
SUFFIXES = {"opus": "ogg"}
EXITS: list[tuple[str, dict[str, Any], dict[str, str]]] = [
    ("/v1/audio/speech", {"input": TEXT, "voice": "sine"}, {}),
    ("/v1/audio/speech", {"input": TEXT, "voice": "sine", "stream_format": "sse"}, {}),
    ("/v1/audio/speech/batch", {"items": [{"input": TEXT}], "voice": "sine"}, {}),
    ("/v1/tts/synthesize", {"text": TEXT, "timestamps": "word"}, {}),
    (
        "/v1/tts/synthesize",
        {"text": TEXT, "timestamps": "word", "stream": True},
        {"Accept": "text/event-stream"},
    ),
    ("/wit/synthesize", {"q": TEXT, "voice": "sine"}, {"Accept": "audio/wav"}),
    ("/wit/synthesize", {"q": TEXT, "voice": "sine", "viseme": True}, {"Accept": "audio/raw"}),
    ("/v1/text-to-speech/sine", {"text": TEXT}, {}),
    ("/v1/text-to-speech/sine/stream", {"text": TEXT}, {}),
    ("/v1/text-to-speech/sine/with-timestamps", {"text": TEXT}, {}),
    ("/v1/text-to-speech/sine/stream/with-timestamps", {"text": TEXT}, {}),
    ("/v1/text-to-dialogue", {"inputs": [{"text": TEXT, "voice_id": "sine"}]}, {}),
]  # path, body and headers of a request


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(create_app(Settings(), tone_pool())) as url:
        yield url


async def synthesize(client: httpx.AsyncClient, **fields: object) -> httpx.Response:
    answer = await client.post("/v1/tts/synthesize", json={"text": TEXT, **fields})
    assert answer.status_code == 200, answer.text
    return answer


def probed(data: bytes, path: Path) -> str:
    """Return the comment that ffprobe finds."""
    if (ffprobe := shutil.which("ffprobe")) is None:
        pytest.skip("needs ffprobe")
    path.write_bytes(data)
    command = [ffprobe, "-v", "error", "-show_entries", "format_tags:stream_tags", "-of", "json"]
    found = json.loads(subprocess.run([*command, path], capture_output=True, check=True).stdout)
    tags = [found["format"].get("tags", {}), *(each.get("tags", {}) for each in found["streams"])]
    return next((value for each in tags for name, value in each.items() if name == "comment"), "")


@pytest.mark.parametrize(("format", "stream"), [case for case in CASES if case[0] in TAGGED])
async def test_each_file_and_stream_says_that_it_is_synthetic(
    client: httpx.AsyncClient, tmp_path: Path, format: str, stream: bool
) -> None:
    answer = await synthesize(client, format=format, stream=stream)
    assert comment_in(answer.content) == COMMENT
    assert TEXT.encode() not in answer.content
    assert answer.content == (await synthesize(client, format=format, stream=stream)).content
    path = tmp_path / f"speech.{SUFFIXES.get(format, format)}"
    assert probed(answer.content, path) == COMMENT


@pytest.mark.parametrize(("format", "stream"), CASES)
async def test_a_setting_switches_the_marks_off_and_nothing_else(
    client: httpx.AsyncClient, format: str, stream: bool
) -> None:
    marked = await synthesize(client, format=format, stream=stream)
    assert marked.headers["x-synthetic"] == HEADER
    async with app_client(create_app(Settings(provenance="off"), tone_pool())) as other:
        plain = await synthesize(other, format=format, stream=stream)
    assert "x-synthetic" not in plain.headers
    assert b"synthetic" not in plain.content
    assert (plain.content == marked.content) is (format in BARE)


@pytest.mark.parametrize(("path", "body", "headers"), EXITS)
async def test_each_answer_has_the_header(
    client: httpx.AsyncClient, path: str, body: dict[str, Any], headers: dict[str, str]
) -> None:
    origin = {"Origin": "https://page.example"}
    answer = await client.post(path, json=body, headers={**headers, **origin})
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-synthetic"] == HEADER
    assert "X-Synthetic" in answer.headers["access-control-expose-headers"]


async def test_every_described_answer_with_audio_is_among_them(client: httpx.AsyncClient) -> None:
    described = (await client.get("/openapi.json")).json()["paths"]
    found = set()
    for path, methods in described.items():
        content = methods.get("post", {}).get("responses", {}).get("200", {}).get("content", {})
        if any(kind.startswith("audio/") for kind in content):
            found.add(path.replace("{voice_id}", "sine").removeprefix("/elevenlabs"))
    assert len(found) > 5
    elsewhere = {"/v1/text-to-dialogue/stream", "/v1/tts/voices/{voice}/preview"}
    assert found <= {path for path, _, _ in EXITS} | elsewhere


async def test_files_inside_json_are_marked(client: httpx.AsyncClient) -> None:
    batch = {"items": [{"input": TEXT}], "voice": "sine", "response_format": "wav"}
    made = (await client.post("/v1/audio/speech/batch", json=batch)).json()["results"][0]
    timed = (await synthesize(client, timestamps="word", format="flac")).json()
    for data in map(base64.b64decode, (made["audio_data"], timed["audio"])):
        assert comment_in(data) == COMMENT


async def test_a_part_of_a_marked_file_fits_the_whole(client: httpx.AsyncClient) -> None:
    query = {"text": TEXT}
    whole = (await client.get("/v1/tts/synthesize", params=query)).content
    got = await client.get("/v1/tts/synthesize", params=query, headers={"Range": "bytes=40-99"})
    assert (got.status_code, got.headers["x-synthetic"]) == (206, HEADER)
    assert got.content == whole[40:100]


async def test_the_first_message_of_live_speech_says_so(url: str) -> None:
    async with wire(url, "/v1/tts/stream") as live:
        await live.send(type="begin", speaker="sine", format="opus")
        await live.send(type="text", text=TEXT)
        await live.send(type="end")
        got = await live.until("done")
    started = next(each for each in got if isinstance(each, dict) and each["type"] == "started")
    assert started["synthetic"] == HEADER
    assert comment_in(audio_of(got)) == COMMENT


async def test_a_unit_of_another_protocol_is_a_marked_file(url: str) -> None:
    async with wire(url, "/v1/audio/speech/stream") as live:
        await live.send(type="session.config", voice="sine", response_format="wav")
        await live.send(type="input.text", text=TEXT)
        await live.send(type="input.done")
        data = audio_of(await live.until("session.done"))
    assert comment_in(data) == COMMENT
    assert int.from_bytes(data[4:8], "little") == len(data) - 8


@pytest.mark.parametrize("format", TAGGED)
@pytest.mark.parametrize("remote", [False, True])
def test_the_command_line_marks_its_files_and_reads_the_marks(
    tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch, format: str, remote: bool
) -> None:
    monkeypatch.setenv("VIVAVOCE_MODELS", "tone")
    path = tmp_path / f"speech.{format}"
    through = ["--server", url] if remote else []
    said = CliRunner().invoke(command_line, ["say", TEXT, "-o", str(path), *through])
    assert said.exit_code == 0, said.output
    found = CliRunner().invoke(command_line, ["verify", str(path)])
    assert (found.exit_code, f"comment: {COMMENT}" in found.stdout) == (0, True)
    if format == "wav":
        with wave.open(str(path)) as file:
            assert path.stat().st_size > 44 + 2 * file.getnframes()


@pytest.mark.parametrize("format", ["wav", "mp3", "aac", "flac"])
def test_a_file_that_says_nothing_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format: str
) -> None:
    monkeypatch.setenv("VIVAVOCE_MODELS", "tone")
    monkeypatch.setenv("VIVAVOCE_PROVENANCE", "off")
    path = tmp_path / f"speech.{format}"
    assert CliRunner().invoke(command_line, ["say", TEXT, "-o", str(path)]).exit_code == 0
    found = CliRunner().invoke(command_line, ["verify", str(path)])
    assert (found.exit_code, "says nothing" in found.stderr) == (1, True)


def test_signing_without_its_extra_is_refused_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "c2pa", None)
    settings = Settings(provenance="c2pa", data_dir=tmp_path)
    with pytest.raises(MissingDependency, match=r"pip install 'vivavoce\[provenance\]'"):
        create_app(settings, tone_pool())
    assert not list(tmp_path.iterdir())
    monkeypatch.setenv("VIVAVOCE_MODELS", "tone")
    path = tmp_path / "speech.mp3"
    assert CliRunner().invoke(command_line, ["say", TEXT, "-o", str(path)]).exit_code == 0
    found = CliRunner().invoke(command_line, ["verify", str(path)])
    assert (found.exit_code, "not looked for" in found.stdout) == (0, True)


def test_a_comment_passes_for_nothing_else(tmp_path: Path) -> None:
    encoder = open_encoder("mp3", 24_000, comment="\x1b[2Jhello\nC2PA manifest: Valid, by Somebody")
    (path := tmp_path / "spoof.mp3").write_bytes(encoder.write(np.zeros(9_000, np.float32)))
    found = CliRunner().invoke(command_line, ["verify", str(path)])
    assert found.stdout.splitlines() == [
        "comment: ?[2Jhello",
        "comment: C2PA manifest: Valid, by Somebody",
    ]


def test_what_is_no_audio_is_refused(tmp_path: Path) -> None:
    for name, data in {"text.txt": b"hello " * 50, "empty": b""}.items():
        (tmp_path / name).write_bytes(data)
        found = CliRunner().invoke(command_line, ["verify", str(tmp_path / name)])
        assert (found.exit_code, len(found.stderr.splitlines())) == (1, 1)
    found = CliRunner().invoke(command_line, ["verify", str(tmp_path / "absent")])
    assert (found.exit_code, "cannot read" in found.stderr) == (1, True)


def test_the_client_hands_the_mark_on(url: str) -> None:
    with Client(url) as client:
        audio = client.speak(TEXT, speaker="sine")
    assert audio.synthetic == HEADER
    with wave.open(io.BytesIO(audio.data)) as file:
        assert file.getnframes()
