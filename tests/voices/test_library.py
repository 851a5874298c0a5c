"""Check that saved voices are whole, private, and gone when their consent ends."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from vivavoce.audio import wav_bytes
from vivavoce.errors import BadRequest, ConsentEnded, Forbidden, UnknownVoice
from vivavoce.voices.library import VoiceLibrary, draft
from vivavoce.voices.record import Consent, SavedVoice, Viewer, voice_id
from vivavoce.voices.recording import Recording, take_recording
from vivavoce.voices.store import FORM, NAMES, RECORDING, VOICE, RecordFolder

OPERATOR, ONE, TWO = Viewer(manages=True), Viewer("one"), Viewer("two")
CONSENT = Consent("Anna Lind", "You may use my voice.")
KILLS, AT_ONCE = 50, 8


@pytest.fixture
def library(tmp_path: Path) -> VoiceLibrary:
    return VoiceLibrary(tmp_path / "voices")


def mixed(name: str, formula: str = "af_bella(1)", **facts: object) -> SavedVoice:
    return draft(name, "mixed", formula=formula, **facts)


def recording(seed: int = 1) -> Recording:
    noise = np.random.default_rng(seed).normal(0, 0.1, 72_000).astype(np.float32)
    return take_recording(wav_bytes(noise, 24_000))


def clone(library: VoiceLibrary, name: str, viewer: Viewer = ONE, **facts: object) -> SavedVoice:
    consent = facts.pop("consent", CONSENT)
    return library.add(draft(name, "cloned", consent=consent, **facts), viewer, recording())  # type: ignore[arg-type]


def names(library: VoiceLibrary, viewer: Viewer) -> list[str]:
    library.refresh()
    return [voice.name for voice in library.visible(viewer)]


def eventually(true: Callable[[], bool], within_s: float) -> bool:
    end = time.monotonic() + within_s
    while not true() and time.monotonic() < end:
        time.sleep(0.02)
    return true()


# --- one voice ------------------------------------------------------------------------------------


def test_same_voice_is_saved_once(library: VoiceLibrary) -> None:
    first, again = library.add(mixed("warm"), ONE), library.add(mixed("Warm"), ONE)
    assert (again.id, again.name, names(library, ONE)) == (first.id, "warm", ["warm"])
    with pytest.raises(BadRequest, match="saved as 'warm'"):
        library.add(mixed("other"), ONE)
    assert clone(library, "anna").id == clone(library, "anna").id != first.id
    assert clone(library, "with-words", words="Hello.").id not in (
        first.id,
        clone(library, "anna").id,
    )


@pytest.mark.parametrize(
    "name",
    [
        "", ".", "..", "../x", "a/b", "a\\b", "/etc/passwd", "a\0b", "x" * 10_000, "аnna", "ａnna",
        "anna\u200b", "an na", "-x", ".x", "auto", "Default", "NUL", "af_bella", "0" * 24, "a+b",
        "a(b)", "anna\n", "\ud800",
    ],
)  # fmt: skip
def test_bad_names_leave_nothing_behind(library: VoiceLibrary, name: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        library.add(mixed(name), ONE, None, frozenset({"af_bella"}))
    assert refusal.value.field == "name"
    assert len(refusal.value.message) < 250
    assert not library.folder.path.exists()


def test_name_in_use_is_refused(library: VoiceLibrary) -> None:
    library.add(mixed("warm"), ONE)
    with pytest.raises(BadRequest, match="'WARM' has a voice already"):
        library.add(mixed("WARM", "af_sky(1)"), ONE)
    assert names(library, OPERATOR) == ["warm"]


def test_manager_gives_no_name_that_its_owner_or_all_have_in_use(library: VoiceLibrary) -> None:
    boss = Viewer("boss", manages=True)
    library.add(mixed("warm"), ONE)
    other = library.add(mixed("cool", "af_sky(1)"), ONE)
    with pytest.raises(BadRequest, match="'warm' has a voice already"):
        library.change(other.id, boss, frozenset(), name="warm")
    theirs = library.add(mixed("warm"), TWO)
    assert library.change(theirs.id, boss, frozenset(), shared=True).shared
    with pytest.raises(BadRequest, match="'warm' has a voice already"):
        library.change(library.get("warm", ONE).id, boss, frozenset(), shared=True)


def test_change_shows_in_another_process_within_a_second(library: VoiceLibrary) -> None:
    other = VoiceLibrary(library.folder.path)

    def described() -> list[str]:
        if other.is_stale:
            other.refresh()
        return [voice.description for voice in other.visible(OPERATOR)]

    assert described() == []
    library.add(mixed("warm"), OPERATOR)
    assert eventually(lambda: described() == [""], 1)
    for text in ("one", "two", "three"):
        library.change("warm", OPERATOR, frozenset(), description=text)
        assert eventually(lambda text=text: described() == [text], 1)  # type: ignore[misc]
    library.remove("warm", OPERATOR)
    assert eventually(lambda: described() == [], 1)


@pytest.mark.parametrize("contents", ["", "{", "{}", '{"id": "other"}', "[" * 9_000, "\0"])
def test_broken_record_hides_its_voice_alone_and_is_told_once(
    library: VoiceLibrary, caplog: pytest.LogCaptureFixture, contents: str
) -> None:
    library.add(mixed("warm"), OPERATOR)
    broken = library.folder.path / ("0" * 24)
    broken.mkdir()
    (broken / VOICE).write_text(contents)
    (library.folder.path / "notes").mkdir()
    for _ in range(3):
        assert names(library, OPERATOR) == ["warm"]
    assert len(caplog.records) == 1


def test_slow_look_at_the_folder_undoes_no_later_one(
    library: VoiceLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone(library, "anna")
    looked, done, scan = threading.Event(), threading.Event(), os.scandir

    @contextmanager
    def slow(path: str) -> Iterator[Iterator[os.DirEntry[str]]]:
        with scan(path) as entries:
            found = list(entries)
        if threading.current_thread() is slowly and Path(path) == library.folder.path:
            looked.set()
            assert done.wait(30)
        yield iter(found)

    slowly = threading.Thread(target=library.refresh)
    monkeypatch.setattr(os, "scandir", slow)
    slowly.start()
    assert looked.wait(30)
    library.add(mixed("warm"), ONE)
    library.remove("anna", ONE)
    done.set()
    slowly.join(30)
    assert [voice.name for voice in library.visible(ONE)] == ["warm"]


def test_folder_that_cannot_be_read_leaves_the_voices_as_they_were(
    library: VoiceLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.add(mixed("warm"), OPERATOR)

    def refuse(_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", refuse)
    assert names(library, OPERATOR) == ["warm"]


# --- who may -------------------------------------------------------------------------------------


def test_keys_neither_see_nor_change_each_others_voices(library: VoiceLibrary) -> None:
    first, second = library.add(mixed("warm"), ONE), library.add(mixed("warm"), TWO)
    assert first.id != second.id
    assert [v.id for v in library.visible(ONE)] == [first.id]
    assert len(library.visible(OPERATOR)) == 2
    for change in (library.remove, library.revoke, library.export, library.get):
        with pytest.raises(UnknownVoice):
            change(second.id, ONE)
    with pytest.raises(UnknownVoice):
        library.change(second.id, ONE, frozenset(), name="mine")
    library.remove("warm", ONE)
    assert [v.id for v in library.visible(OPERATOR)] == [second.id]


def test_shared_voice_is_seen_by_all_and_changed_by_its_owner(library: VoiceLibrary) -> None:
    with pytest.raises(Forbidden, match="manage"):
        library.add(mixed("warm", shared=True), ONE)
    voice = library.add(mixed("warm"), ONE)
    with pytest.raises(Forbidden, match="manage"):
        library.change("warm", ONE, frozenset(), shared=True)
    library.change(voice.id, OPERATOR, frozenset(), shared=True)
    assert names(library, TWO) == ["warm"]
    with pytest.raises(Forbidden, match="not yours"):
        library.remove("warm", TWO)
    library.change("warm", ONE, frozenset(), shared=False)
    assert names(library, TWO) == []


# --- consent -------------------------------------------------------------------------------------


def test_recording_needs_consent_unless_the_operator_says_otherwise(tmp_path: Path) -> None:
    with pytest.raises(BadRequest) as refusal:
        clone(VoiceLibrary(tmp_path), "anna", consent=None)
    assert refusal.value.field == "consent"
    assert list(tmp_path.iterdir()) == []
    assert (
        clone(VoiceLibrary(tmp_path, require_consent=False), "anna", consent=None).consent is None
    )
    with pytest.raises(BadRequest, match="'words'"):
        Consent("Anna", " ")


def test_revoked_voice_loses_its_recording_and_keeps_its_record(library: VoiceLibrary) -> None:
    voice = clone(library, "anna")
    folder = library.folder.path / voice.id
    assert library.reference(voice).samples.size == 72_000
    assert library.revoke("anna", ONE).consent == CONSENT
    assert sorted(path.name for path in folder.iterdir()) == ["revoked.json", VOICE]
    ended = library.get("anna", ONE)
    for use in (library.reference, library.usable, lambda v: library.export(v.id, ONE)):
        with pytest.raises(ConsentEnded, match="revoked"):
            use(ended)  # type: ignore[operator]
    library.change("anna", ONE, frozenset(), description="still there")
    assert library.get("anna", ONE).revoked is not None
    with pytest.raises(ConsentEnded):
        clone(library, "anna")


def test_end_between_look_and_use_is_told(library: VoiceLibrary) -> None:
    voice = clone(library, "anna")
    VoiceLibrary(library.folder.path).revoke("anna", OPERATOR)  # in another process, just now
    with pytest.raises(ConsentEnded, match="revoked"):
        library.reference(voice)


@pytest.mark.parametrize("damage", [b"", b"no audio" * 99])
def test_damaged_recording_is_told_as_such(library: VoiceLibrary, damage: bytes) -> None:
    voice = clone(library, "anna")
    library.folder.recording_path(voice.id).write_bytes(damage)
    for use in (
        lambda: library.reference(voice),
        lambda: library.export("anna", OPERATOR),
        lambda: library.change("anna", OPERATOR, frozenset(), words="Hello."),
    ):
        with pytest.raises(UnknownVoice, match="'anna' has a damaged recording"):
            use()


def test_lost_recording_is_told_as_such(library: VoiceLibrary) -> None:
    voice = clone(library, "anna")
    library.folder.recording_path(voice.id).unlink()
    for use in (
        lambda: library.reference(voice),
        lambda: library.export("anna", OPERATOR),
        lambda: library.change("anna", OPERATOR, frozenset(), words="Hello."),
    ):
        with pytest.raises(UnknownVoice, match="'anna' is gone, or its recording: restore it"):
            use()


def test_voice_ends_with_its_consent(library: VoiceLibrary) -> None:
    today = datetime.now(UTC).date()
    voice = clone(library, "anna", consent=Consent("A", "Yes.", "", today))
    assert voice.ended() is None
    assert voice.ended(today + timedelta(1)) is not None
    with pytest.raises(BadRequest, match="2020") as refusal:
        clone(library, "old", consent=Consent("A", "Yes.", "", date(2020, 1, 1)))
    assert refusal.value.field == "consent.expires"
    path = library.folder.path / voice.id / VOICE
    path.write_text(path.read_text().replace(str(today), "2020-01-01"))
    os.utime(path.parent)
    library.refresh()
    assert not (path.parent / RECORDING).exists()
    with pytest.raises(ConsentEnded):
        library.reference(library.get("anna", ONE))


# --- processes that are killed --------------------------------------------------------------------

_WRITER = """
import sys, itertools
from pathlib import Path
from tests.voices.test_library import recording
from vivavoce.voices.library import VoiceLibrary, draft
from vivavoce.voices.record import Consent, Viewer
library, worker, kept = VoiceLibrary(Path(sys.argv[1])), sys.argv[2], recording(int(sys.argv[3]))
print("begun", flush=True)
for number in itertools.count():
    name = f"{worker}.{number}"
    voice = draft(name, "cloned", consent=Consent("A", "Yes."), words=name)
    library.add(voice, Viewer(manages=True), kept)
    print(name, flush=True)
    library.change(name, Viewer(manages=True), frozenset(), description=name)
    library.change(name, Viewer(manages=True), frozenset(), words=f"{name} again")
    if number % 3 == 2:
        library.remove(name, Viewer(manages=True))
        print("-" + name, flush=True)
"""


def test_voice_that_many_make_at_once_is_one(tmp_path: Path) -> None:
    kept = recording()

    def make(_: int) -> str:
        voice = draft("anna", "cloned", consent=CONSENT)
        return VoiceLibrary(tmp_path).add(voice, ONE, kept).id

    with ThreadPoolExecutor(8) as pool:
        made = set(pool.map(make, range(40)))
    assert sorted(path.name for path in tmp_path.iterdir()) == [NAMES, *made]


@pytest.mark.slow
def test_killed_writers_leave_whole_voices_or_none(tmp_path: Path) -> None:
    rng, said = np.random.default_rng(0), list[list[str]]()
    recording_of = {f"w{n}": recording(n % AT_ONCE) for n in range(KILLS + AT_ONCE)}
    for _ in range(-(-KILLS // AT_ONCE)):
        writers = [
            subprocess.Popen(
                [sys.executable, "-c", _WRITER, tmp_path, f"w{len(said) + i}", str(i)],
                stdout=subprocess.PIPE,
                text=True,
            )
            for i in range(AT_ONCE)
        ]
        for writer in writers:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "begun\n"
        for writer in writers:
            time.sleep(rng.uniform(0, 0.05))
            writer.send_signal(signal.SIGKILL)
            said.append((writer.communicate()[0] or "").splitlines())
    there = {s.record.name: s.record for s in RecordFolder(tmp_path, FORM, VOICE).read({}).values()}
    for lines in said:
        removed = {line[1:] for line in lines if line.startswith("-")}
        added = {line for line in lines if not line.startswith("-")}
        # The last thing that a writer did may not have been said.
        lost = added - removed - set(there)
        assert len(lost) <= 1
        assert all(int(name.split(".")[1]) % 3 == 2 for name in lost)
        assert not removed & set(there)
    for voice in there.values():
        assert voice.words in (voice.name, f"{voice.name} again")
        assert voice.description in ("", voice.name)
        library = VoiceLibrary(tmp_path)
        assert library.reference(voice).samples.size == 72_000
        first = voice_id(recording_of[voice.name.split(".")[0]].pcm, voice.name, "")
        assert (voice.id == first) == (voice.words == voice.name)
        assert library.get(first, OPERATOR) == voice  # the id that its writer was told first
    entries = [path for path in tmp_path.iterdir() if not path.name.startswith(".")]
    assert len(entries) == len(there) > KILLS // 5
    assert len({voice.words == voice.name for voice in there.values()}) == 2


_RACER = """
import sys
from pathlib import Path
from vivavoce.errors import BadRequest
from vivavoce.voices.library import VoiceLibrary, draft
from vivavoce.voices.record import Viewer
library, share = VoiceLibrary(Path(sys.argv[1])), int(sys.argv[2]) + 1
sys.stdin.readline()
for number in range(int(sys.argv[3])):
    voice = draft(f"name{number}", "mixed", formula=f"af_bella({share})+af_sky({number + 10})")
    try:
        library.add(voice, Viewer(manages=True))
        print(number, flush=True)
    except BadRequest as error:
        assert "has a voice already" in error.message, error.message
"""


def test_one_of_eight_processes_gets_a_name(tmp_path: Path) -> None:
    rounds = 10
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", _RACER, tmp_path, str(i), str(rounds)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for i in range(AT_ONCE)
    ]
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    said = [racer.communicate(timeout=120)[0].split() for racer in racers]
    assert [racer.returncode for racer in racers] == [0] * AT_ONCE
    assert sorted(int(number) for lines in said for number in lines) == list(range(rounds))
    there = [stored.record.name for stored in RecordFolder(tmp_path, FORM, VOICE).read({}).values()]
    assert sorted(there) == sorted(f"name{number}" for number in range(rounds))
