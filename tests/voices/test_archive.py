"""Check that a voice survives a file, and that a file of anybody's is safe to open."""

import io
import json
import stat
import zipfile
from pathlib import Path

import pytest

from tests.voices.test_library import CONSENT, ONE, recording
from vivavoce.errors import BadRequest
from vivavoce.voices.archive import unpack
from vivavoce.voices.library import VoiceLibrary, draft
from vivavoce.voices.record import Viewer

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


def test_bad_files_are_refused(tmp_path: Path) -> None:
    _, data = exported(tmp_path)
    good = members(data)
    described = json.loads(good["voice.json"])

    def changed(**values: object) -> bytes:
        return packed({**good, "voice.json": json.dumps({**described, **values}).encode()})

    bad = [
        b"", b"PK", b"no zip at all", data[:-30], data[:2_000], b"\0" * 5_000_000,
        packed({"voice.json": good["voice.json"]}),
        packed({"recording.flac": good["recording.flac"]}),
        packed({**good, "../x": b"x"}), packed({**good, "/etc/cron.d/x": b"x"}),
        packed({**good, "more": b"x"}), packed(good, stat.S_IFLNK | 0o777),
        packed(good, stat.S_IFIFO), packed({**good, "voice.json": b"{}"}),
        packed({**good, "voice.json": b"[" * 60_000}), packed({**good, "voice.json": b"\xff"}),
        packed({**good, "voice.json": b" " * 2**30}), packed({**good, "recording.flac": b"x" * 99}),
        packed({**good, "recording.flac": b"\0" * 2**28}),
        changed(name=3), changed(kind="mixed"), changed(kind="wrong"),
        changed(formula="af_bella(1)"),
        changed(words="x" * 10_000), changed(labels={str(i): "" for i in range(50)}),
        changed(description="\x1b[2J"), changed(consent={"by": "", "words": ""}),
    ]  # fmt: skip
    for file in bad:
        with pytest.raises(BadRequest) as refusal:
            unpack(file)
        assert refusal.value.field in ("file", "ref_audio", "consent")
        assert len(refusal.value.message) < 400


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_members_of_one_name_are_refused(tmp_path: Path) -> None:
    good = members(exported(tmp_path)[1])
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in ("voice.json", "voice.json", "recording.flac"):
            archive.writestr(name, good[name])
    with pytest.raises(BadRequest, match="alone"):
        unpack(file.getvalue())
