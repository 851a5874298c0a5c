"""Check the times of characters, from the times of words."""

import pytest

from vivavoce.api.elevenlabs.alignment import Alignment, CharLine
from vivavoce.types import TimedWord


def words(text: str, *said: tuple[str, str, float, float]) -> list[TimedWord]:
    """Return words of `text`, each as (written, spoken, start, end)."""
    found, at = [], 0
    for written, spoken, start_s, end_s in said:
        at = text.find(written, at) if text.find(written, at) >= 0 else text.index(written)
        found.append(TimedWord(written, spoken, at, at + len(written), start_s, end_s))
    return found


def told(*parts: Alignment) -> str:
    return "".join("".join(part.chars) for part in parts)


def test_marks_come_with_the_word_before_them() -> None:
    text = "Hello, world!"
    hello, world = words(text, ("Hello", "Hello", 0.1, 0.5), ("world", "world", 0.7, 1.0))
    line = CharLine()
    first, second = line.add([hello], text), line.add([world], text)
    assert (told(first), told(second)) == ("Hello, ", "world!")
    assert first.starts_s == pytest.approx([0.1, 0.18, 0.26, 0.34, 0.42, 0.5, 0.5])
    assert second.ends_s[-2:] == pytest.approx([1.0, 1.0])
    assert told(line.finish(text)) == " "


def test_text_that_grows_is_told_once() -> None:
    line = CharLine()
    (one,) = words("One", ("One", "One", 0.0, 0.3))
    first = line.add([one], "One")
    text = "One, two. "
    (_, two) = words(text, ("One", "One", 0.0, 0.3), ("two", "two", 0.5, 0.8))
    second = line.add([two], text)
    assert (told(first), told(second), told(line.finish(text))) == ("One", ", two. ", "")
    assert second.starts_s[0] == pytest.approx(0.3)  # the comma has the time between


def test_what_is_read_in_several_words_is_written_once() -> None:
    text = "Pay $4, Dr. Lee."
    said = words(
        text,
        ("Pay", "Pay", 0.0, 0.2), ("$4", "four", 0.2, 0.4), ("$4", "dollars", 0.4, 0.8),
        ("Dr.", "Doctor", 1.0, 1.3), ("Lee", "Lee", 1.3, 1.5),
    )  # fmt: skip
    written, spoken = CharLine(), CharLine(spoken=True)
    assert told(*(written.add([word], text) for word in said)) == text
    assert told(*(spoken.add([word], text) for word in said)) == "Pay four dollars, Doctor Lee."


def test_markup_is_a_space() -> None:
    text = '<speak>Wait. <break time="1s"/> Now go.</speak>'
    said = words(text, ("Wait", "Wait", 0.0, 0.4), ("Now", "Now", 1.4, 1.7), ("go", "go", 1.7, 2.0))
    line = CharLine()
    assert told(line.add(said, text), line.finish(text)) == "Wait.  Now go. "


def test_times_in_ms_add_up() -> None:
    text = "abc "
    (word,) = words(text, ("abc", "abc", 0.1, 0.2))
    times = CharLine().add([word], text).in_ms(50)
    assert times["charStartTimesMs"] == [50, 83, 117, 150]
    assert times["charDurationsMs"] == [33, 34, 33, 0]
