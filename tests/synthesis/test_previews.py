"""Keep previews for a while, some of each key, where every process finds them."""

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.voices.test_library import recording
from vivavoce.errors import DiskFull, UnknownVoice
from vivavoce.synthesis.design.previews import KEEP_S, MAX_OWN, Preview, Previews
from vivavoce.voices.record import Viewer
from vivavoce.voices.recording import repacked

ONE, TWO = Viewer("one"), Viewer("two")
RECORDING = repacked(recording().flac, synthetic=True)
A, B = "a" * 24, "b" * 24


def preview(id: str = A) -> Preview:
    return Preview(id, "A man.", "en", 1, "Hi\n.", RECORDING, b"\n{audio", "wav", "vivavoce")


def kept(previews: Previews, id: str, viewer: Viewer) -> bool:
    try:
        return previews.get(id, viewer).id == id
    except UnknownVoice:
        return False


@pytest.fixture
def previews(tmp_path: Path) -> Previews:
    return Previews(tmp_path / "previews")


def test_preview_is_found_by_every_process_and_for_its_key_alone(previews: Previews) -> None:
    previews.add(preview(), ONE)
    found = Previews(previews.path).get(A, ONE)
    named = [getattr(found, name) for name in preview().__slots__]
    assert named == [getattr(preview(), name) for name in preview().__slots__]
    assert not kept(previews, A, TWO)
    assert not kept(previews, A, Viewer("boss", manages=True))


def test_preview_is_erased_after_an_hour(
    previews: Previews, monkeypatch: pytest.MonkeyPatch
) -> None:
    previews.add(preview(), ONE)
    (previews.path / ".new-1").write_bytes(b"of a process that was killed")
    later = time.time() + KEEP_S + 1
    monkeypatch.setattr(time, "time", lambda: later)
    assert not kept(previews, A, ONE)
    assert list(previews.path.iterdir()) == []


def test_oldest_previews_of_a_key_make_room_and_no_others(previews: Previews) -> None:
    previews.add(preview(), TWO)
    previews.add(preview("c" * 24), ONE)
    (path,) = previews.path.glob("*-" + "c" * 24)
    path.unlink()
    path.mkdir()  # which cannot be erased as a file
    os.utime(path, (1, 1))
    ids = [f"{number:024x}" for number in range(MAX_OWN + 1)]
    for number, id in enumerate(ids):
        previews.add(preview(id), ONE)
        (path,) = previews.path.glob(f"*-{id}")
        os.utime(path, (time.time() - 100 + number,) * 2)
    previews.add(preview(B), ONE)
    assert [kept(previews, id, ONE) for id in (*ids, B)] == [False] * 2 + [True] * MAX_OWN
    assert kept(previews, A, TWO)


@pytest.mark.parametrize("id", ["", "x" * 10_000, "\x00", "../" + A, A.upper(), B])
def test_strange_id_is_unknown(previews: Previews, id: str) -> None:
    previews.add(preview(), ONE)
    assert not kept(previews, id, ONE)


@pytest.mark.parametrize(
    "damage", [b"", b"{}\n", b"[]\n", b"no JSON\n", b'{"recording_bytes": 9}\nx']
)
def test_damaged_preview_is_unknown(previews: Previews, damage: bytes) -> None:
    previews.add(preview(), ONE)
    (path,) = previews.path.iterdir()
    path.write_bytes(damage)
    assert not kept(previews, A, ONE)


def test_preview_of_a_version_with_other_facts_is_unknown(previews: Previews) -> None:
    previews.add(preview(), ONE)
    (path,) = previews.path.iterdir()
    path.write_bytes(path.read_bytes().replace(b'"seed"', b'"mood"', 1))
    assert not kept(previews, A, ONE)


def test_folder_that_cannot_be_written_is_told(previews: Previews) -> None:
    previews.path.write_text("in the way")
    with pytest.raises(DiskFull, match="make room there"):
        previews.add(replace(preview()), ONE)
