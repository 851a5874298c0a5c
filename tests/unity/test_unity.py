"""Test the Unity package: its decoders under Mono on real answers, and its layout."""

import json
import re
import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
import pytest

from vivavoce.audio.containers import wav_header

PACKAGE = Path(__file__).parent.parent.parent / "clients" / "unity"
SOURCES = sorted((PACKAGE / "Runtime").glob("*.cs"))
WITHOUT_UNITY = [
    source for source in SOURCES if "using UnityEngine" not in source.read_text("utf-8")
]
TEXT = "Hello there, Quest & others: 50% more?"

needs_mono = pytest.mark.skipif(
    shutil.which("mcs") is None or shutil.which("mono") is None,
    reason="mcs or mono is not installed; on Debian: apt-get install mono-mcs mono-runtime",
)


@pytest.fixture(scope="session")
def decode(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the package's decoders, compiled once."""
    program = tmp_path_factory.mktemp("unity") / "decode.exe"
    checks = Path(__file__).with_name("Decode.cs")
    done = subprocess.run(
        ["mcs", "-warnaserror", f"-out:{program}", checks, *WITHOUT_UNITY],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        command = ["mono", program, *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    return run


def floats(path: Path) -> np.ndarray:
    return np.fromfile(path, "<f4")


@needs_mono
@pytest.mark.parametrize("audio_format", ["wav", "pcm"])
def test_decoders_read_what_the_server_answers_to_the_package_s_url(
    decode: Callable[..., subprocess.CompletedProcess[str]],
    audio_format: str,
    tone_url: str,
    tmp_path: Path,
) -> None:
    url = decode("url", tone_url + "/", TEXT, "hum", audio_format).stdout.strip()
    answer = httpx.get(url)
    assert (answer.status_code, answer.headers["x-voice"]) == (200, "hum")
    same = httpx.post(
        f"{tone_url}/v1/tts/synthesize",
        json={"text": TEXT, "speaker": "hum", "speed": 1.5, "format": "pcm"},
    )
    expected = np.frombuffer(same.content, "<i2") / np.float32(2**15)
    file, out = tmp_path / f"speech.{audio_format}", tmp_path / "speech.f32"
    file.write_bytes(answer.content)
    if audio_format == "wav":
        assert answer.headers["content-length"] == str(len(answer.content))
        assert decode("wav", file, out).stdout.split() == ["24000", "1"]
    else:
        assert "content-length" not in answer.headers
        assert decode("pcm", file, out, "1000", "1024").returncode == 0
    np.testing.assert_array_equal(floats(out), expected)


@needs_mono
@pytest.mark.parametrize(("chunk", "block"), [(1, 1), (3, 5), (16_384, 64), (999_999, 1024)])
def test_stream_is_the_same_however_it_is_cut(
    decode: Callable[..., subprocess.CompletedProcess[str]], chunk: int, block: int, tmp_path: Path
) -> None:
    samples = np.arange(-32768, 32768, 37, dtype="<i2")
    (tmp_path / "in").write_bytes(samples.tobytes())
    done = decode("pcm", tmp_path / "in", tmp_path / "out", str(chunk), str(block))
    assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(floats(tmp_path / "out"), samples / np.float32(2**15))


@needs_mono
def test_wav_with_other_chunks_or_of_unknown_length_is_read(
    decode: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    data = np.array([0, 16384, -32768], dtype="<i2").tobytes()
    streamed = wav_header(24_000, None)
    odd = struct.pack("<4sI3sx", b"LIST", 3, b"abc")
    for name, file in {
        "streamed": streamed + data,
        "odd": streamed[:12] + odd + streamed[12:] + data,
    }.items():
        (tmp_path / name).write_bytes(file)
        assert decode("wav", tmp_path / name, tmp_path / "out").returncode == 0
        assert floats(tmp_path / "out").tolist() == [0.0, 0.5, -1.0]


@needs_mono
@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b'{"error": "no"}', "no WAV file"),
        (wav_header(24_000, 0)[:30], "no data"),
        (b"RIFF\0\0\0\0WAVE", "no data"),
    ],
)
def test_what_is_no_wav_is_refused_with_a_reason(
    decode: Callable[..., subprocess.CompletedProcess[str]],
    content: bytes,
    says: str,
    tmp_path: Path,
) -> None:
    (tmp_path / "in").write_bytes(content)
    done = decode("wav", tmp_path / "in", tmp_path / "out")
    assert (done.returncode, says in done.stderr) == (1, True)


@needs_mono
def test_whole_package_compiles_against_unity_s_declarations(tmp_path: Path) -> None:
    sources = [Path(__file__).with_name("UnityTypes.cs"), *SOURCES]
    command = [
        "mcs", "-warnaserror", "-target:library", f"-out:{tmp_path / 'package.dll'}", *sources,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_package_has_what_unity_asks_for() -> None:
    manifest = json.loads((PACKAGE / "package.json").read_text("utf-8"))
    assert re.fullmatch(r"[a-z0-9.-]+", manifest["name"])
    assert re.fullmatch(r"\d+\.\d+\.\d+", manifest["version"])
    assembly = json.loads((PACKAGE / "Runtime" / "Vivavoce.asmdef").read_text("utf-8"))
    assert assembly["name"] == "Vivavoce"


def test_every_file_has_an_identity_of_its_own() -> None:
    assets = [path for path in PACKAGE.rglob("*") if path.suffix != ".meta"]
    metas = [Path(f"{path}.meta").read_text("utf-8") for path in assets]
    guids = re.findall(r"^guid: ([0-9a-f]{32})$", "\n".join(metas), re.MULTILINE)
    assert len(set(guids)) == len(assets)
