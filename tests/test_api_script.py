"""Test `scripts/test_api.py` against a sound server and against broken ones."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tests.conftest import serving, tone_pool
from tests.decoding import decode
from vivavoce.api.app import create_app
from vivavoce.models.tone import Fault, ToneModel
from vivavoce.serving.local import LocalEngine
from vivavoce.serving.pool import Pool
from vivavoce.settings import Settings

SCRIPT = Path(__file__).parent.parent / "scripts" / "test_api.py"


def run(*arguments: str | Path) -> tuple[int, list[str]]:
    """Return the exit code of the script and its output.

    The output is progress and errors, then the table.
    """
    done = subprocess.run(
        [sys.executable, SCRIPT, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, (done.stderr + done.stdout).splitlines()


def failures(lines: list[str]) -> list[str]:
    return [line for line in lines if line.startswith("FAIL")]


class Damaging:
    """Pass each message of the answers of `path` through `damage`."""

    def __init__(self, app: ASGIApp, path: str, damage: Callable[[Message], Message]) -> None:
        self.app, self.path, self.damage = app, path, damage

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def damaged(message: Message) -> None:
            await send(self.damage(message))

        await self.app(scope, receive, damaged if scope.get("path") == self.path else send)


def silent(message: Message) -> Message:
    """Return a message of the same size without audible audio.

    The header stays.
    """
    body = message.get("body", b"")
    start = body.index(b"data") + 8 if body.startswith(b"RIFF") else 0
    return (
        {**message, "body": body[:start] + bytes(len(body) - start)} if len(body) > 44 else message
    )


def mislabelled(message: Message) -> Message:
    headers = [
        (name, b"audio/x-none" if value == b"audio/wav" else value)
        for name, value in message.get("headers", ())
    ]
    return {**message, "headers": headers} if headers else message


def always_fine(message: Message) -> Message:
    return {**message, "status": 200} if "status" in message else message


def broken_by(path: str, damage: Callable[[Message], Message]) -> Callable[[], FastAPI]:
    def build() -> FastAPI:
        app = create_app(Settings(), tone_pool())
        app.add_middleware(Damaging, path=path, damage=damage)
        return app

    return build


def failing_after(steps: int) -> Callable[[], FastAPI]:
    """A server whose only model raises after some steps."""
    model = ToneModel(faults={"sine": Fault("raise", steps)})
    return lambda: create_app(Settings(), Pool({"tone": lambda: LocalEngine(model)}))


def growing() -> FastAPI:
    app = create_app(Settings(), tone_pool())
    app.add_api_route("/v1/new", lambda: "", methods=["GET"])
    return app


def test_a_sound_server_passes_and_its_audio_is_kept(hibari_url: str, tmp_path: Path) -> None:
    assert run(hibari_url, "--until-ready", "60")[0] == 0
    code, lines = run(hibari_url, "--save", tmp_path)
    assert (code, failures(lines)) == (0, [])
    assert lines[-1].endswith(f" right, 0 wrong, at {hibari_url}")
    kept = {path.suffix: path for path in tmp_path.glob("native-format.*")}
    assert kept.keys() == {".wav", ".pcm", ".mp3", ".opus", ".aac", ".flac", ".m4a"}
    assert all(
        len(decode(path.read_bytes())[0]) > 12_000
        for suffix, path in kept.items()
        if suffix != ".pcm"
    )


@pytest.mark.parametrize(
    ("build", "check", "seen"),
    [
        (broken_by("/v1/tts/synthesize", silent), "one exact WAV file", "silence: RMS 0.0"),
        (
            broken_by("/v1/tts/synthesize", mislabelled),
            "one exact WAV file",
            "wav sent as 'audio/x-none'",
        ),
        (
            broken_by("/v1/tts/synthesize", always_fine),
            "refuses: unknown speaker",
            "200 instead of 404",
        ),
        (broken_by("/v1/audio/speech", silent), "pcm stream", "silence: RMS 0.0"),
        (failing_after(0), "one exact WAV file", "500: "),
        (failing_after(3), "a WAV stream", "no whole answer: "),
        (growing, "GET  /v1/new", "the server offers it, and no check here knows it"),
    ],
    ids=[
        "silent",
        "mislabelled",
        "accepts-all",
        "silent-openai",
        "crashes-at-once",
        "crashes-midway",
        "new-endpoint",
    ],
)
def test_what_is_broken_is_found(build: Callable[[], FastAPI], check: str, seen: str) -> None:
    with serving(build()) as url:
        code, lines = run(url)
    assert code == 1
    assert [line for line in failures(lines) if check in line and seen in line], lines


@pytest.mark.parametrize(
    "arguments", [(), ("--until-ready", "0.1")], ids=["at once", "after waiting"]
)
def test_a_server_that_is_not_there_is_said_to_be(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    code, lines = run("http://127.0.0.1:1", *arguments, "--save", tmp_path / "audio")
    assert code == 2
    assert "Connection refused" in lines[-1]
    assert not (tmp_path / "audio").exists()
