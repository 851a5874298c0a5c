"""Check that a voice survives a file, and that a file of anybody's is safe to open."""

import base64
import io
import json
import stat
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import app_client, tone_pool
from tests.voices.test_library import CONSENT, ONE, recording
from vivavoce.api.app import create_app
from vivavoce.audio import open_encoder, wav_bytes
from vivavoce.errors import BadRequest
from vivavoce.settings import Settings
from vivavoce.voices.archive import unpack
from vivavoce.voices.library import VoiceLibrary, draft
from vivavoce.voices.record import MAX_FORMER, Consent, Viewer
from vivavoce.voices.recording import take_recording

OPERATOR = Viewer(manages=True)


def exported(folder: Path) -> tuple[str, bytes]:
    library = VoiceLibrary(folder)
    voice = draft("anna", "cloned", consent=CONSENT, words="Hello.", labels={"mood": "calm"})
    return library.add(voice, OPERATOR, recording()).id, library.export("anna", OPERATOR)


def test_voice_is_the_same_after_a_round_trip(tmp_path: Path) -> None:
    id, data = exported(tmp_path / "here")
    voice, kept = unpack(data)
    there = VoiceLibrary(tmp_path / "there")
    saved = there.add(voice, OPERATOR, kept)
    assert (saved.id, saved.words, saved.consent, saved.labels) == (
        id, "Hello.", CONSENT, {"mood": "calm"},
    )  # fmt: skip
    assert saved.provenance == "imported"
    assert there.reference(saved).samples.size == 72_000
    elsewhere = VoiceLibrary(tmp_path / "elsewhere")
    assert elsewhere.add(unpack(data)[0], ONE, kept).owner == "one"


def test_mix_is_the_same_after_a_round_trip(tmp_path: Path) -> None:
    library = VoiceLibrary(tmp_path / "here")
    saved = library.add(draft("warm", "mixed", formula="af_bella(1)"), OPERATOR)
    voice, kept = unpack(library.export("warm", OPERATOR))
    assert VoiceLibrary(tmp_path / "there").add(voice, OPERATOR, kept).id == saved.id


def members(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(contents: dict[str, bytes], mode: int = 0) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = mode << 16
            archive.writestr(entry, content, zipfile.ZIP_DEFLATED)
    return file.getvalue()


def flac(seconds: float, rate_hz: int) -> bytes:
    encoder = open_encoder("flac", rate_hz)
    noise = np.random.default_rng(1).normal(0, 0.1, int(seconds * rate_hz)).astype(np.float32)
    return encoder.write(noise) + encoder.finish()


def patched(data: bytes, at: int, value: int) -> bytes:
    """Return a zip file with other bits in each entry of its directory."""
    changed = bytearray(data)
    place = changed.find(b"PK\x01\x02")
    while place >= 0:
        changed[place + at] = value
        place = changed.find(b"PK\x01\x02", place + 1)
    return bytes(changed)


def bad_files(folder: Path) -> list[bytes]:
    """Return files that are no voice, or would do harm."""
    _, data = exported(folder)
    good = members(data)
    described = json.loads(good["voice.json"])

    def changed(**values: object) -> bytes:
        return packed({**good, "voice.json": json.dumps({**described, **values}).encode()})

    def more(**files: bytes) -> bytes:
        return packed({**good, **files})

    other = io.BytesIO()
    with zipfile.ZipFile(other, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("voice.json", b" " * 2**26)
    many = {f"{number}": b"" for number in range(10_000)}
    wrong_sum = bytearray(data)
    wrong_sum[wrong_sum.find(b"fLaC") + 100] ^= 1
    return [
        b"", b"PK", b"no zip at all", data[:-30], data[:2_000], b"\0" * 5_000_000, bytes(wrong_sum),
        packed({"voice.json": good["voice.json"]}), packed({}), packed(many),
        packed({"recording.flac": good["recording.flac"]}),
        more(**{"../x": b"x"}), more(**{"/etc/cron.d/x": b"x"}), more(**{"C:\\x": b"x"}),
        more(**{"..\\voice.json": b"x"}), more(more=b"x"), more(**{"voice.json/": b""}),
        more(**{"voic\u0435.json": b"x"}), more(**{"VOICE.JSON": b"x"}),
        packed(good, stat.S_IFLNK | 0o777), packed(good, stat.S_IFIFO), packed(good, stat.S_IFDIR),
        patched(data, 8, 1), patched(data, 10, 14), patched(data, 10, 99), other.getvalue(),
        more(**{"voice.json": b"{}"}), more(**{"voice.json": b"[" * 60_000}),
        more(**{"voice.json": b"\xff"}), more(**{"voice.json": b" " * 2**30}),
        more(**{"voice.json": b'{"id": ' + b"9" * 60_000 + b"}"}),
        more(**{"recording.flac": b"x" * 99}), more(**{"recording.flac": b"\0" * 2**28}),
        more(**{"recording.flac": good["recording.flac"][:300]}),
        more(**{"recording.flac": wav_bytes(np.full(48_000, 0.1, np.float32), 24_000)}),
        more(**{"recording.flac": flac(2, 16_000)}), more(**{"recording.flac": flac(31, 24_000)}),
        more(**{"recording.flac": flac(0.1, 24_000)}),
        changed(name=3), changed(kind="mixed"), changed(kind="imported"),
        changed(formula="af_bella(1)"), changed(id=[]), changed(created="x" * 10_000),
        changed(words="x" * 10_000), changed(labels={str(i): "" for i in range(50)}),
        changed(description="\x1b[2J"), changed(consent={"by": "", "words": ""}),
        changed(consent={"by": "A", "words": "Yes.", "expires": "2020-13-01"}),
        changed(languages=["x" * 999]), changed(languages=["Klingon"]), changed(shared="perhaps"),
    ]  # fmt: skip


def test_bad_files_are_refused(tmp_path: Path) -> None:
    bad = bad_files(tmp_path)
    assert len(bad) >= 40
    for file in bad:
        with pytest.raises(BadRequest) as refusal:
            unpack(file)
        assert refusal.value.field in ("file", "ref_audio", "consent")
        assert len(refusal.value.message) < 400


async def test_bad_files_are_refused_over_http_and_leave_nothing(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    app = create_app(Settings(data_dir=data_dir, provenance="tags"), tone_pool())
    async with app_client(app) as client:
        for file in bad_files(tmp_path / "made"):
            body = {"file": base64.b64encode(file).decode()}
            answer = await client.post("/v1/tts/voices/import", json=body)
            assert answer.status_code in (413, 422), answer.text
            assert answer.json()["error"]["message"]
        good = exported(tmp_path / "more")[1]
        for name in ("../anna", "/etc/passwd", "\u0430nna", "x" * 10_000, "nul", "af_bella", "a b"):
            body = {"file": base64.b64encode(good).decode(), "name": name}
            answer = await client.post("/v1/tts/voices/import", json=body)
            assert (answer.status_code, answer.json()["error"]["field"]) == (422, "name")
        assert (await client.get("/v1/tts/voices")).json()["voices"] == []
        assert not (data_dir / "voices").exists()


async def test_legal_voices_pass_over_http_and_longer_files_are_told_their_size(
    tmp_path: Path,
) -> None:
    rng = np.random.default_rng(1)
    noise = rng.uniform(-0.99, 0.99, 30 * 24_000).astype(np.float32)

    def text(length: int) -> str:
        return "".join(map(chr, rng.integers(0x10000, 0x1F000, length)))  # four bytes each

    def said() -> Consent:
        return Consent(text(200), text(2_000), text(2_000))

    library = VoiceLibrary(tmp_path / "here")
    labels = {f"{n:064}": text(200) for n in range(20)}
    facts = {"labels": labels, "words": text(5_000), "description": text(2_000)}
    heavy = draft("heavy", "cloned", consent=said(), **facts)
    library.add(heavy, OPERATOR, take_recording(wav_bytes(noise, 24_000)))
    for _ in range(MAX_FORMER):
        library.renew("heavy", OPERATOR, said())
    data = library.export("heavy", OPERATOR)
    assert len(base64.b64encode(data)) > 2_000_000  # more than other bodies may have
    app = create_app(Settings(data_dir=tmp_path / "data"), tone_pool())
    async with app_client(app) as client:
        body = {"file": base64.b64encode(data).decode()}
        made = await client.post("/v1/tts/voices/import", json=body)
        assert made.status_code == 201, made.text
        body = {"file": base64.b64encode(bytes(5_000_000)).decode(), "name": "long"}
        answer = await client.post("/v1/tts/voices/import", json=body)
        told = answer.json()["error"]
        assert (answer.status_code, told["field"]) == (422, "file")
        assert "the file has 5,000,000 bytes, the limit is 4,194,304" in told["message"]
        long = {"name": "x" * 3_000_000, "file": ""}
        assert (await client.post("/v1/tts/voices/import", json=long)).status_code == 413


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_members_of_one_name_are_refused(tmp_path: Path) -> None:
    good = members(exported(tmp_path)[1])
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in ("voice.json", "voice.json", "recording.flac"):
            archive.writestr(name, good[name])
    with pytest.raises(BadRequest, match="alone"):
        unpack(file.getvalue())
