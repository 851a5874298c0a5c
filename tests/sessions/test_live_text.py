"""A text that is being written is given out in parts that are all of it."""

import asyncio

import pytest

from vivavoce.errors import BadRequest
from vivavoce.sessions.live_text import PAUSE_S, LiveText


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def taken(text: LiveText) -> list[str]:
    found = []
    while (part := text.take()) is not None:
        found.append(part)
    return found


def test_a_clause_is_given_out_when_it_is_whole() -> None:
    text = LiveText("en", 1_000)
    text.append("Hello there. How are")
    assert taken(text) == ["Hello there."]
    text.append(" you?")
    assert taken(text) == []
    text.append(" Good")
    assert taken(text) == [" How are you?"]
    text.end()
    assert taken(text) == [" Good"]
    assert text.texts == ["Hello there.", " How are you?", " Good"]
    assert text.starts == [0, 12, 25]
    assert text.text == "Hello there. How are you? Good"


def test_a_pause_of_the_author_gives_out_whole_words() -> None:
    clock = Clock()
    text = LiveText("en", 1_000, clock_s=clock)
    text.append("I think that I am go")
    assert taken(text) == []
    clock.now_s += PAUSE_S
    assert taken(text) == ["I think that I am"]


def test_a_flush_gives_out_all_of_it() -> None:
    text = LiveText("en", 1_000)
    text.append("It is 5")
    text.flush()
    assert not text.is_flushed
    assert taken(text) == ["It is 5"]
    assert text.is_flushed
    text.append("0 or")
    assert taken(text) == []


def test_words_of_what_is_being_spoken_belong_to_its_clause() -> None:
    text = LiveText("en", 1_000)
    text.append("Hello there. How are yo")
    assert text.take() == "Hello there."
    assert text.take(words=True) == " How are"
    assert text.take(words=True) is None
    text.append("u ")
    assert text.take(words=True) == " you"
    assert text.texts == ["Hello there. How are you"]


def test_marks_alone_wait_for_words_and_end_with_the_text() -> None:
    text = LiveText("en", 1_000)
    text.append("... ! ")
    text.flush()
    assert taken(text) == []
    text.append("Yes. ")
    assert taken(text) == ["... ! Yes."]
    text.append("...")
    text.end()
    assert taken(text) == []
    assert text.text == "... ! Yes. ..."


def test_too_much_and_too_late_are_refused_and_nothing_is_added() -> None:
    text = LiveText("en", 10)
    text.append("123456789")
    with pytest.raises(BadRequest, match="11 characters, the limit is 10"):
        text.append("ab")
    text.end()
    with pytest.raises(BadRequest, match="ended"):
        text.append("a")
    assert text.text == "123456789"


async def test_waiting_ends_with_each_change_and_with_a_pause() -> None:
    text = LiveText("en", 1_000)
    waiting = asyncio.create_task(text.wait())
    await asyncio.sleep(0.05)
    assert not waiting.done()
    text.append("Hello")
    assert await waiting
    async with asyncio.timeout(20 * PAUSE_S):
        assert await text.wait()  # the author pauses
    waiting = asyncio.create_task(text.wait())  # the same pause is told once
    await asyncio.sleep(1.5 * PAUSE_S)
    assert not waiting.done()
    text.end()
    assert await waiting
    assert text.take() == "Hello"
    assert not await text.wait()


def test_a_listener_with_audio_left_gets_longer_clauses() -> None:
    clock = Clock()
    text = LiveText("en", 1_000, clock_s=clock)
    opening = "I am not so sure about all of that, my friend and "
    text.append(opening)
    assert taken(text) == ["I am not so sure about all of that,"]
    text.append(opening)
    assert taken(text) != []  # nobody hears anything yet


async def test_words_behind_a_tag_are_taken_without_waiting_for_the_author() -> None:
    text = LiveText("en", 1_000)
    text.append("Hello there. One <b>two</b> three <i>four</i> five six")
    assert text.take() == "Hello there."
    while (await text.wait()) and (part := text.take(words=True)):
        pass
    assert part is None
    assert text.text[len(text.texts[0]) :] == " six"


def test_a_long_text_is_cut_although_it_begins_with_marks() -> None:
    text = LiveText("en", 100_000)
    text.append("- , " * 2_000 + "Hello there. " * 1_000)
    parts = taken(text)
    assert len(parts) > 1
    text.end()
    assert "".join(parts + taken(text)) == text.text.rstrip()
