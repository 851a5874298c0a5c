"""Check the events of words whose sounds are known, as models with sounds tell them."""

from vivavoce.api.routes.wit.lipsync import Event, events
from vivavoce.types import TimedPhone, TimedWord

RATE_HZ = 1_000


def word(text: str, start_s: float, *sounds: str, each_s: float = 0.1) -> TimedWord:
    phones = tuple(
        TimedPhone(sound, start_s + each_s * at, start_s + each_s * (at + 1))
        for at, sound in enumerate(sounds)
    )
    return TimedWord(text, text, 0, len(text), start_s, start_s + each_s * len(sounds), phones)


def test_sounds_have_events_of_their_own_and_visemes() -> None:
    assert events([word("my", 0.5, "m", "aɪ")], "en", RATE_HZ) == [
        Event("WORD", 500, "my"),
        Event("PHONE", 500, "m"), Event("VISEME", 500, "PP"),
        Event("PHONE", 600, "aɪ"), Event("VISEME", 600, "aa"), Event("VISEME", 650, "ih"),
        Event("VISEME", 700, "sil"),
    ]  # fmt: skip


def test_mouth_closes_between_words_only_for_a_pause() -> None:
    said = [word("a", 0.0, "ə"), word("b", 0.1, "b"), word("c", 0.5, "s")]
    closed = [event.offset for event in events(said, "en", RATE_HZ) if event.data == "sil"]
    assert closed == [200, 600]


def test_words_without_sounds_have_the_visemes_of_their_spelling() -> None:
    plain = TimedWord("moon", "moon", 0, 4, 0.0, 0.36)
    found = events([plain], "en", RATE_HZ)
    assert [(event.type, event.data) for event in found] == [
        ("WORD", "moon"), ("VISEME", "PP"), ("VISEME", "ou"), ("VISEME", "nn"), ("VISEME", "sil"),
    ]  # fmt: skip
    assert [event.offset for event in found] == [0, 0, 100, 260, 360]


def test_no_words_have_no_events() -> None:
    assert events([], "en", RATE_HZ) == []
