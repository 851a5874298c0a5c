"""Check the C2PA manifest of whole files with the reader of the same standard."""

import asyncio
import io
import json
import stat
import wave
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from tests.conftest import app_client, tone_pool
from tests.decoding import decode
from vivavoce.api.app import create_app
from vivavoce.audio import comment_in
from vivavoce.cli import app as command_line
from vivavoce.errors import SettingsError
from vivavoce.provenance.certificate import FILE_NAME, own_credential
from vivavoce.provenance.manifest import TYPES, read_manifest
from vivavoce.settings import Settings

c2pa = pytest.importorskip("c2pa", reason="needs the extra provenance")

TEXT = "The lamp is on the table."


async def spoken(folder: Path, **settings: Any) -> dict[str, httpx.Response]:
    """Return the answer in each format that is signed, and a stream."""
    app = create_app(Settings(provenance="c2pa", data_dir=folder, **settings), tone_pool())
    async with app_client(app) as client:
        asked = {name: dict[str, object](format=name) for name in (*map(str, TYPES), "opus")}
        asked["stream"] = {"format": "wav", "stream": True}
        return {
            name: await client.post("/v1/tts/synthesize", json={"text": TEXT, **fields})
            for name, fields in asked.items()
        }


async def test_whole_files_have_a_valid_manifest_without_the_text(tmp_path: Path) -> None:
    answers = await spoken(tmp_path)
    for format, media_type in TYPES.items():
        data = answers[format].content
        assert int(answers[format].headers["content-length"]) == len(data)
        assert TEXT.encode() not in data
        report = json.loads(c2pa.Reader(media_type, io.BytesIO(data)).json())
        assert report["validation_state"] == "Valid"
        assert [each["code"] for each in report["validation_status"]] == [
            "signingCredential.untrusted"
        ]
        claim = report["manifests"][report["active_manifest"]]
        (action,) = claim["assertions"][0]["data"]["actions"]
        assert action["digitalSourceType"].endswith("/trainedAlgorithmicMedia")
        assert action["parameters"] == {"model": "tone", "voice": "sine"}
        assert action["when"]
        assert comment_in(data) == "vivavoce; synthetic speech; model=tone; voice=sine"
        samples, rate = decode(data)
        assert len(samples) / rate > 1
    with wave.open(io.BytesIO(answers["wav"].content)) as file:
        assert len(file.readframes(file.getnframes())) == 2 * file.getnframes()
    for unsigned in ("opus", "stream"):
        assert read_manifest(answers[unsigned].content) is None
        assert comment_in(answers[unsigned].content)


async def test_a_changed_sample_breaks_the_manifest(tmp_path: Path) -> None:
    data = bytearray((await spoken(tmp_path))["wav"].content)
    data[1000] ^= 1
    path = tmp_path / "changed.wav"
    path.write_bytes(data)
    found = CliRunner().invoke(command_line, ["verify", str(path)])
    assert (found.exit_code, "C2PA manifest: Invalid" in found.stdout) == (1, True)


async def test_the_server_makes_one_certificate_and_keeps_its_key_closed(tmp_path: Path) -> None:
    await spoken(tmp_path)
    path = tmp_path / FILE_NAME
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    first = path.read_bytes()
    assert "PRIVATE KEY" in first.decode()
    assert "PRIVATE KEY" not in repr(own_credential(tmp_path))
    await spoken(tmp_path)
    assert path.read_bytes() == first
    path.write_bytes(b"damaged")
    assert own_credential(tmp_path).algorithm == "es256"
    assert path.read_bytes() not in (first, b"damaged")


async def test_a_certificate_can_be_named(tmp_path: Path) -> None:
    own = own_credential(tmp_path / "own")
    names = certificate, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    for path, data in zip(names, (own.certificate, own.key), strict=True):
        path.write_bytes(data)
    answers = await spoken(tmp_path / "data", c2pa_certificate=certificate, c2pa_key=key)
    manifest = read_manifest(answers["mp3"].content)
    assert manifest is not None
    assert (manifest.state, manifest.issuer) == ("Valid", "vivavoce")
    assert not (tmp_path / "data" / FILE_NAME).exists()
    key.write_bytes(own_credential(tmp_path / "another").key)
    with pytest.raises(SettingsError, match="belongs to another certificate"):
        await spoken(tmp_path / "data", c2pa_certificate=certificate, c2pa_key=key)


async def test_many_files_are_signed_at_once(tmp_path: Path) -> None:
    app = create_app(Settings(provenance="c2pa", data_dir=tmp_path), tone_pool())
    async with app_client(app) as client:
        asked = [{"text": f"{TEXT} {number}", "format": "mp3"} for number in range(24)]
        posts = (client.post("/v1/tts/synthesize", json=fields) for fields in asked)
        answers = await asyncio.gather(*posts)
    manifests = [read_manifest(answer.content) for answer in answers]
    assert [manifest and manifest.state for manifest in manifests] == ["Valid"] * len(asked)


def test_certificate_and_key_belong_together(tmp_path: Path) -> None:
    for name in ("c2pa_certificate", "c2pa_key"):
        with pytest.raises(ValueError, match="belong together"):
            Settings(**{name: tmp_path / "one.pem"})


@pytest.mark.parametrize("format", [*TYPES])
def test_the_command_line_signs_files_and_reads_manifests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format: str
) -> None:
    for name, value in {"models": "tone", "provenance": "c2pa", "data_dir": str(tmp_path)}.items():
        monkeypatch.setenv(f"VIVAVOCE_{name.upper()}", value)
    path = tmp_path / f"speech.{format}"
    said = CliRunner().invoke(command_line, ["say", TEXT, "-o", str(path)])
    assert said.exit_code == 0, said.output
    found = CliRunner().invoke(command_line, ["verify", str(path)])
    assert found.exit_code == 0, found.output
    assert "C2PA manifest: Valid, by vivavoce" in found.stdout
    assert "c2pa.created; trainedAlgorithmicMedia; synthetic speech" in found.stdout
    assert "model=tone; voice=sine" in found.stdout
