"""Check the C2PA manifest of whole files with the reader of the same standard."""

import asyncio
import base64
import io
import json
import stat
import subprocess
import sys
import wave
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from tests.api.live.wire import audio_of, wire
from tests.conftest import app_client, serving, tone_pool
from tests.decoding import decode
from tests.provenance.test_marks import COMMENT, probed
from vivavoce.api.app import create_app
from vivavoce.audio import comment_in
from vivavoce.cli import app as command_line
from vivavoce.errors import SettingsError
from vivavoce.provenance.certificate import FILE_NAME, LOCK_NAME, own_credential
from vivavoce.provenance.manifest import TYPES, read_manifest
from vivavoce.settings import Settings

c2pa = pytest.importorskip("c2pa", reason="needs the extra provenance")

from cryptography import x509  # noqa: E402 - after the check for it
from cryptography.hazmat.primitives import hashes, serialization  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import ec  # noqa: E402
from cryptography.x509.oid import NameOID  # noqa: E402

TEXT = "The lamp is on the table."


def state_of(data: bytes) -> str | None:
    """Return what the reader says of a file, None if it has no manifest."""
    manifest = read_manifest(data)
    return manifest and manifest.state


async def spoken(folder: Path, **settings: Any) -> dict[str, httpx.Response]:
    """Return the answer in each format that is signed, and a stream."""
    app = create_app(Settings(data_dir=folder, **settings), tone_pool())
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
        made = [each for each in claim["assertions"] if each["label"].startswith("c2pa.actions")]
        (action,) = made[0]["data"]["actions"]
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


# path, body, and the file in the answer
WHOLE: list[tuple[str, dict[str, Any], Callable[[httpx.Response], bytes]]] = [
    ("/v1/tts/synthesize", {"text": TEXT}, lambda answer: answer.content),
    (
        "/v1/tts/synthesize",
        {"text": TEXT, "timestamps": "word", "format": "flac"},
        lambda answer: base64.b64decode(answer.json()["audio"]),
    ),
    (
        "/v1/audio/speech",
        {"input": TEXT, "voice": "sine", "response_format": "m4a"},
        lambda answer: answer.content,
    ),
    (
        "/v1/audio/speech/batch",
        {"items": [{"input": TEXT}], "voice": "sine", "response_format": "wav"},
        lambda answer: base64.b64decode(answer.json()["results"][0]["audio_data"]),
    ),
    ("/wit/synthesize", {"q": TEXT, "voice": "sine"}, lambda answer: answer.content),
    ("/v1/text-to-speech/sine", {"text": TEXT}, lambda answer: answer.content),
    (
        "/v1/text-to-speech/sine/with-timestamps",
        {"text": TEXT},
        lambda answer: base64.b64decode(answer.json()["audio_base64"]),
    ),
    (
        "/v1/text-to-dialogue",
        {"inputs": [{"text": TEXT, "voice_id": "sine"}]},
        lambda answer: answer.content,
    ),
]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(
        create_app(Settings(data_dir=tmp_path_factory.mktemp("data")), tone_pool())
    ) as url:
        yield url


@pytest.mark.parametrize(("path", "body", "file"), WHOLE)
def test_every_exit_for_whole_files_signs_them_by_default(
    url: str, path: str, body: dict[str, Any], file: Callable[[httpx.Response], bytes]
) -> None:
    answer = httpx.post(url + path, json=body, headers={"Accept": "audio/wav, */*"}, timeout=30)
    assert answer.status_code == 200, answer.text
    assert state_of(file(answer)) == "Valid"
    assert comment_in(file(answer)) == COMMENT


async def test_a_unit_of_live_speech_that_is_sent_as_one_file_is_signed(url: str) -> None:
    async with wire(url, "/v1/audio/speech/stream") as live:
        await live.send(type="session.config", voice="sine", response_format="wav")
        await live.send(type="input.text", text=TEXT)
        await live.send(type="input.done")
        data = audio_of(await live.until("session.done"))
    assert state_of(data) == "Valid"


@pytest.mark.parametrize("format", [*TYPES])
def test_parts_of_a_signed_file_fit_the_whole(url: str, format: str) -> None:
    query = {"text": f"{TEXT} {format}", "format": format}
    whole = httpx.get(f"{url}/v1/tts/synthesize", params=query)
    part = httpx.get(f"{url}/v1/tts/synthesize", params=query, headers={"Range": "bytes=40-999999"})
    assert (part.status_code, state_of(whole.content)) == (206, "Valid")
    assert part.content == whole.content[40:]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/tts/synthesize", {"text": TEXT, "format": "m4a", "stream": True}),
        ("/v1/audio/speech", {"input": TEXT, "response_format": "m4a", "stream_format": "sse"}),
    ],
)
def test_a_stream_of_m4a_is_refused_with_the_way_out(
    url: str, path: str, body: dict[str, Any]
) -> None:
    answer = httpx.post(url + path, json=body)
    assert answer.status_code in (400, 422)
    assert "'aac'" in answer.json()["error"]["message"]
    assert "format" in (answer.json()["error"].get("field") or answer.json()["error"]["param"])


async def test_live_speech_in_m4a_is_refused_with_the_way_out(url: str) -> None:
    async with wire(url, "/v1/tts/stream") as live:
        await live.send(type="begin", speaker="sine", format="m4a")
        refused = (await live.until("error"))[-1]
    assert "'aac'" in refused["message"]


def test_two_servers_that_start_at_once_use_one_certificate(tmp_path: Path) -> None:
    script = (
        "import sys\nfrom pathlib import Path\nfrom vivavoce.provenance.certificate import *\n"
        "sys.stdin.readline()\n"
        "sys.stdout.buffer.write(own_credential(Path(sys.argv[1])).certificate)"
    )
    for left in (None, b"damaged"):
        folder = tmp_path / str(left)
        if left is not None:
            folder.mkdir()
            (folder / FILE_NAME).write_bytes(left)
            (folder / f"{FILE_NAME}.new").write_bytes(left)  # of a process that was killed
        servers = [
            subprocess.Popen(
                [sys.executable, "-c", script, folder],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
            for _ in range(6)
        ]
        for server in servers:
            assert server.stdin is not None
            server.stdin.write(b"\n")
            server.stdin.flush()
        used = {server.communicate()[0] for server in servers}
        assert used == {own_credential(folder).certificate}


async def test_a_server_that_cannot_keep_a_certificate_says_so_and_marks_all_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / LOCK_NAME).mkdir()  # which even root cannot open for writing
    answers = await spoken(tmp_path)
    assert state_of(answers["wav"].content) is None
    assert comment_in(answers["wav"].content) == COMMENT
    assert "files have comments and no C2PA manifests" in caplog.text
    with pytest.raises(SettingsError, match="data_dir"):
        await spoken(tmp_path, provenance="c2pa")


async def test_a_file_that_cannot_be_signed_leaves_with_its_comment_unless_it_has_to_be(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for mode in ("auto", "c2pa"):
        app = create_app(Settings(data_dir=tmp_path, provenance=mode), tone_pool())
        provenance = app.state.server.synthesizer.provenance
        broken = replace(provenance.signer.credential, certificate=b"not a certificate")
        app.state.server.synthesizer.provenance = replace(
            provenance, signer=replace(provenance.signer, credential=broken)
        )
        async with app_client(app) as client:
            answer = await client.post("/v1/tts/synthesize", json={"text": TEXT})
        if mode == "auto":
            assert comment_in(answer.content) == COMMENT
            assert "a file leaves with its comment alone" in caplog.text
        else:
            assert (answer.status_code, answer.json()["error"]["code"]) == (500, "signing_failed")
            assert "provenance = 'tags'" in answer.json()["error"]["message"]


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


@pytest.mark.parametrize(("since_days", "for_days"), [(-20, 10), (5, 10), (-1, 10)])
async def test_a_server_with_a_certificate_that_signs_no_files_does_not_start(
    tmp_path: Path, since_days: int, for_days: int
) -> None:
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "of a web server")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    since = now + timedelta(since_days)
    signed = builder.not_valid_before(since).not_valid_after(since + timedelta(for_days))
    pem = signed.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    (certificate := tmp_path / "chain.pem").write_bytes(pem)
    (kept := tmp_path / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    with pytest.raises(SettingsError, match=r"chain.pem' signs no files .*certificate"):
        create_app(Settings(c2pa_certificate=certificate, c2pa_key=kept), tone_pool())


async def test_many_files_are_signed_at_once(tmp_path: Path) -> None:
    app = create_app(Settings(data_dir=tmp_path), tone_pool())
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
@pytest.mark.parametrize("remote", [False, True])
def test_the_command_line_signs_files_and_reads_manifests(
    tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch, format: str, remote: bool
) -> None:
    for name, value in {"models": "tone", "data_dir": str(tmp_path)}.items():
        monkeypatch.setenv(f"VIVAVOCE_{name.upper()}", value)
    path = tmp_path / f"speech.{format}"
    through = ["--server", url] if remote else []
    said = CliRunner().invoke(command_line, ["say", TEXT, "-o", str(path), *through])
    assert said.exit_code == 0, said.output
    assert probed(path.read_bytes(), tmp_path / f"probed.{format}") == COMMENT
    found = CliRunner().invoke(command_line, ["verify", str(path)])
    assert found.exit_code == 0, found.output
    assert "C2PA manifest: Valid, by vivavoce" in found.stdout
    assert "c2pa.created; trainedAlgorithmicMedia; synthetic speech" in found.stdout
    assert "model=tone; voice=sine" in found.stdout
