"""Keep previews for a while, some of each caller."""

import pytest

from vivavoce.errors import UnknownVoice
from vivavoce.synthesis.design.previews import KEEP_S, MAX_ALL, MAX_OWN, Preview, Previews
from vivavoce.voices.record import Viewer
from vivavoce.voices.recording import Recording

ONE, TWO = Viewer("one"), Viewer("two")
RECORDING = Recording(b"", b"", 1.0, ())


def preview(id: str) -> Preview:
    return Preview(id, "A man.", "en", 1, None, RECORDING, b"", "wav", "")


def kept(previews: Previews, id: str, viewer: Viewer) -> bool:
    try:
        return previews.get(id, viewer).id == id
    except UnknownVoice:
        return False


def test_preview_is_kept_for_an_hour_and_for_its_caller_alone() -> None:
    now_s = 0.0
    previews = Previews(lambda: now_s)
    previews.add(preview("a"), ONE)
    assert kept(previews, "a", ONE)
    assert not kept(previews, "a", TWO)
    assert not kept(previews, "a", Viewer("boss", manages=True))
    now_s = KEEP_S + 1
    assert not kept(previews, "a", ONE)


def test_oldest_previews_make_room_those_of_the_same_caller_first() -> None:
    previews = Previews()
    previews.add(preview("first"), TWO)
    for number in range(MAX_OWN + 1):
        previews.add(preview(f"{number}"), ONE)
    assert [kept(previews, id, ONE) for id in ("0", "1", f"{MAX_OWN}")] == [False, True, True]
    assert kept(previews, "first", TWO)
    for number in range(MAX_ALL):
        previews.add(preview(f"other-{number}"), Viewer(f"{number}"))
    assert not kept(previews, "first", TWO)
    assert not kept(previews, "1", ONE)
    assert kept(previews, "other-0", Viewer("0"))


@pytest.mark.parametrize("id", ["", "x" * 10_000, "\x00"])
def test_strange_id_is_unknown(id: str) -> None:
    assert not kept(Previews(), id, ONE)
