"""Test live speech of the Unity package, under Mono against a real server."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from websockets.sync.client import connect

from tests.conftest import serving
from tests.unity.test_unity import WITHOUT_UNITY, floats, needs_mono
from vivavoce.api.app import create_app
from vivavoce.keys import FILE_NAME, KeyFile
from vivavoce.models.tone import ToneModel
from vivavoce.serving.local import LocalEngine
from vivavoce.serving.pool import Pool
from vivavoce.settings import Settings

pytestmark = needs_mono

TEXT = 'Ask "why" \\ and why not. Fünf Jahre. 你好, 😀 and so on. '

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Run the package's live speech, compiled once."""
    program = tmp_path_factory.mktemp("unity") / "live.exe"
    source = Path(__file__).with_name("Live.cs")
    done = subprocess.run(
        ["mcs", "-warnaserror", f"-out:{program}", source, *WITHOUT_UNITY],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr

    def run(
        url: str, out: Path, *lines: str, speaker: str = "hum", key: str = ""
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["mono", program, url, out, speaker, key],
            input="\n".join(lines) + "\n",
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    pool = Pool({"tone": lambda: LocalEngine(ToneModel())})
    with serving(create_app(Settings(), pool)) as url:
        yield url


def spoken(url: str, *pieces: str) -> np.ndarray:
    """Return the samples that another client gets for the same text."""
    samples = b""
    with connect(f"{url.replace('http', 'ws')}/v1/tts/stream") as socket:
        begin = {"type": "begin", "speaker": "hum", "language": "English", "speed": 1.25}
        socket.send(json.dumps({**begin, "sample_rate": 24_000}))
        for piece in pieces:
            socket.send(json.dumps({"type": "text", "text": piece}))
        socket.send('{"type": "end"}')
        for message in socket:
            if isinstance(message, bytes):
                samples += message
            elif json.loads(message)["type"] == "done":
                break
    return np.frombuffer(samples, "<i2") / np.float32(2**15)


def test_samples_are_those_of_the_server(live: Run, url: str, tmp_path: Path) -> None:
    pieces = ('Say "é" \\ 😀', " now")  # one clause, so that their times do not matter
    done = live(url + "/", tmp_path / "out", *pieces, "!end")
    assert done.returncode == 0, done.stderr
    expected = spoken(url, *pieces)
    assert len(expected) > 12_000
    np.testing.assert_array_equal(floats(tmp_path / "out"), expected)


def test_interruption_tells_what_was_heard(live: Run, url: str, tmp_path: Path) -> None:
    done = live(url, tmp_path / "out", TEXT, "!flush", "!interrupt 700.5")
    assert done.returncode == 0, done.stderr
    flushed, outcome = done.stdout.splitlines()
    heard, unheard = outcome.split("|")
    assert flushed == "flushed"
    assert heard.startswith("Ask")
    assert heard + unheard == TEXT
    assert unheard
    assert len(floats(tmp_path / "out")) > 24_000


def test_text_that_has_ended_cannot_be_interrupted(live: Run, url: str, tmp_path: Path) -> None:
    done = live(url, tmp_path / "out", "Hello.", "!end", "!flush", "!interrupt 10")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["flushed", "unknown"]


def test_server_s_reason_is_told(live: Run, url: str, tmp_path: Path) -> None:
    done = live(url, tmp_path / "out", "Hello.", "!end", speaker="nobody")
    assert done.returncode == 1
    assert "'nobody'" in done.stderr


def test_server_that_is_not_there_is_told(live: Run, tmp_path: Path) -> None:
    done = live("http://127.0.0.1:9", tmp_path / "out", "Hello.", "!interrupt 10")
    assert done.returncode == 1
    assert done.stderr.strip()


def test_key_opens_a_server_that_asks_for_one(live: Run, tmp_path: Path) -> None:
    key = KeyFile(tmp_path / FILE_NAME).create("game")
    pool = Pool({"tone": lambda: LocalEngine(ToneModel())})
    with serving(create_app(Settings(data_dir=tmp_path), pool)) as url:
        refused = live(url, tmp_path / "out", "Hello.", "!end")
        assert refused.returncode == 1
        assert "an API key is needed here" in refused.stderr
        assert live(url, tmp_path / "out", "Hello.", "!end", key=key).returncode == 0
