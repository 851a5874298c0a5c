"""Check that a recording gets its words later: another id, and one voice at any moment."""

import os
import shutil
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest

from tests.voices.test_library import CONSENT, ONE, OPERATOR, TWO, clone, mixed, names, recording
from vivavoce.errors import BadRequest, ConsentEnded, UnknownVoice, Unsupported
from vivavoce.voices.library import VoiceLibrary, draft
from vivavoce.voices.record import MAX_FORMER, SavedVoice, voice_id
from vivavoce.voices.store import FORM, NEXT, PREPARED, RECORDING, VOICE

WORDS = "Some words."


@pytest.fixture
def library(tmp_path: Path) -> VoiceLibrary:
    return VoiceLibrary(tmp_path / "voices")


def worded(library: VoiceLibrary, voice: str, words: str = WORDS) -> SavedVoice:
    return library.change(voice, ONE, frozenset(), words=words)


def folders(library: VoiceLibrary) -> list[str]:
    return sorted(path.name for path in library.folder.path.iterdir() if path.name[0] != ".")


def test_words_give_another_id_and_the_former_one_stays_an_alias(library: VoiceLibrary) -> None:
    before = clone(library, "anna", labels={"mood": "calm"})
    assert library.reference(before).text is None
    prepared = library.folder.path / before.id / PREPARED
    prepared.mkdir()
    (prepared / "form.safetensors").write_bytes(b"of no words")
    after = worded(library, "anna")
    assert after.id == voice_id(recording().pcm, WORDS, "one") != before.id
    assert (after.formerly, after.consent, after.labels) == (
        (before.id,),
        CONSENT,
        {"mood": "calm"},
    )
    assert folders(library) == [after.id]
    assert sorted(path.name for path in (library.folder.path / after.id).iterdir()) == [
        RECORDING,
        VOICE,
    ]
    for name in ("anna", before.id, after.id):
        assert library.get(name, ONE) == after
        with pytest.raises(UnknownVoice):
            library.get(name, TWO)
    assert library.reference(after).text == WORDS
    assert library.reference(before).text == WORDS  # of a request that looked before
    assert library.reference(library.get(before.id, ONE)).samples.size == 72_000


def test_model_that_was_lent_the_recording_is_to_forget_it(library: VoiceLibrary) -> None:
    before = clone(library, "anna")
    file = library.reference(before).file
    worded(library, "anna")
    assert library.take_back() == [file]


def test_words_change_again_and_back(library: VoiceLibrary) -> None:
    first = clone(library, "anna", words="a")
    ids = [worded(library, "anna", words).id for words in ("b", "c", "a")]
    assert ids[-1] == first.id
    assert library.get("anna", ONE).formerly == tuple(ids[:2])
    for id in ids:
        assert library.get(id, ONE).words == "a"
    for number in range(MAX_FORMER + 2):
        last = worded(library, "anna", f"{number}")
    assert len(last.formerly) == MAX_FORMER


def test_same_recording_without_its_words_is_the_same_voice(library: VoiceLibrary) -> None:
    clone(library, "anna")
    after = worded(library, "anna")
    assert clone(library, "anna").id == after.id
    with pytest.raises(BadRequest, match="saved as 'anna'"):
        clone(library, "other")
    assert folders(library) == [after.id]


def test_words_that_make_another_saved_voice_are_refused(library: VoiceLibrary) -> None:
    clone(library, "anna")
    clone(library, "worded", words=WORDS)
    with pytest.raises(BadRequest, match="saved already") as refusal:
        worded(library, "anna")
    assert refusal.value.field == "words"
    library.add(mixed("warm"), ONE)
    with pytest.raises(Unsupported, match="no words"):
        worded(library, "warm")
    library.revoke("anna", ONE)
    with pytest.raises(ConsentEnded):
        worded(library, "anna", "others")


def test_end_of_consent_follows_a_voice_that_got_its_words(library: VoiceLibrary) -> None:
    before = clone(library, "anna")
    elsewhere = VoiceLibrary(library.folder.path)
    elsewhere.refresh()
    after = worded(library, "anna")
    assert elsewhere.revoke(before.id, ONE).id == after.id
    assert not (library.folder.path / after.id / RECORDING).exists()
    for name in ("anna", before.id, after.id):
        with pytest.raises(ConsentEnded):
            library.usable(library.get(name, ONE))


@pytest.mark.parametrize("act", ["revoke", "remove", "export"])
def test_act_that_looked_before_the_words_came_meets_the_voice(
    library: VoiceLibrary, monkeypatch: pytest.MonkeyPatch, act: str
) -> None:
    before = clone(library, "anna")
    elsewhere, get = VoiceLibrary(library.folder.path), VoiceLibrary.get

    def slow(self: VoiceLibrary, *given: object, **more: object) -> SavedVoice:
        found = get(self, *given, **more)  # type: ignore[arg-type]  # as they are
        if self is elsewhere and found.id == before.id:
            worded(library, "anna")
        return found

    monkeypatch.setattr(VoiceLibrary, "get", slow)
    getattr(elsewhere, act)("anna", ONE)
    monkeypatch.undo()
    fresh = VoiceLibrary(library.folder.path)
    fresh.refresh()
    now = [voice.ended() for voice in fresh.visible(ONE)]
    assert (act, bool(now), bool(now and now[0])) in (
        ("revoke", True, True),
        ("remove", False, False),
        ("export", True, False),
    )


@pytest.mark.parametrize("killed", ["before the rename", "after it"])
def test_killed_change_leaves_the_old_voice_or_the_new_one(
    library: VoiceLibrary, killed: str
) -> None:
    before = clone(library, "anna")
    after = worded(library, "anna")
    new, old = library.folder.path / after.id, library.folder.path / before.id
    shutil.copyfile(new / VOICE, new / NEXT)  # as `move` is about to rename, or has done so
    (new / VOICE).write_bytes(FORM.dump_json(before))
    if killed == "before the rename":
        new.rename(old)
    fresh = VoiceLibrary(library.folder.path)
    assert names(fresh, ONE) == ["anna"]
    now = fresh.get("anna", ONE)
    assert now == (before if killed == "before the rename" else after)
    assert fresh.reference(now).samples.size == 72_000
    again = worded(fresh, "anna", "Other words.")  # which loses nothing of it
    assert fresh.get(before.id, ONE) == again
    assert names(VoiceLibrary(library.folder.path), ONE) == ["anna"]


def test_reader_finds_the_voice_at_every_moment(library: VoiceLibrary) -> None:
    clone(library, "anna")
    done, seen = threading.Event(), list[list[str]]()

    def look() -> None:
        reader = VoiceLibrary(library.folder.path)
        while not done.is_set():
            seen.append(names(reader, ONE))

    with ThreadPoolExecutor(2) as pool:
        looking = [pool.submit(look) for _ in range(2)]
        for number in range(60):
            worded(library, "anna", f"Words {number}.")
        done.set()
        for each in looking:
            each.result(30)
    assert len(seen) > 20
    assert [found for found in seen if found != ["anna"]] == []


def test_reader_finds_a_voice_that_moves_behind_its_looks(
    library: VoiceLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone(library, "anna")
    scandir, moves = os.scandir, iter(range(3))

    def behind(path: Path) -> AbstractContextManager[Iterable[os.DirEntry[str]]]:
        """List a folder, and give the voice another id before anything of the list is read."""
        with scandir(path) as entries:
            listed = list(entries)
        if path == library.folder.path and (move := next(moves, None)) is not None:
            with monkeypatch.context() as patch:
                patch.setattr(os, "scandir", scandir)
                worded(library, "anna", f"Words {move}.")
        return nullcontext(listed)

    monkeypatch.setattr(os, "scandir", behind)
    assert names(VoiceLibrary(library.folder.path), ONE) == ["anna"]
    assert next(moves, None) is None


def test_manager_gives_the_words_of_a_keys_voice(library: VoiceLibrary) -> None:
    clone(library, "anna")
    after = library.change("anna", OPERATOR, frozenset(), words=WORDS)
    assert (after.owner, after.id) == ("one", voice_id(recording().pcm, WORDS, "one"))
    draft_again = draft("anna", "cloned", consent=CONSENT, words=WORDS)
    assert library.add(draft_again, ONE, recording()).id == after.id
