"""Texts are spoken while they are written, whole and in order, and interrupted at any moment."""

import asyncio
import gc
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import numpy as np
import pytest

from tests.conftest import tone_pool
from vivavoce.errors import BadRequest, EngineFault, UnknownVoice
from vivavoce.registry import build_pool
from vivavoce.serving.pool import Pool
from vivavoce.sessions.events import Audio, Done, Event, Failed, Flushed, Started
from vivavoce.sessions.session import MAX_UTTERANCES, Session
from vivavoce.sessions.utterance import Utterance
from vivavoce.settings import Settings
from vivavoce.synthesis.synthesizer import Synthesizer
from vivavoce.types import SpeechRequest, TimedWord

PCM = SpeechRequest(text="", format="pcm", language="en")
TEXT = (
    "Good morning, Dr. Smith. It costs $4.50, I think. No. 5 is alive! Are you sure? The meeting "
    "is at 3:30 p.m. on Jan. 5, 2024. Then we go, slowly, and with care, to the house of my friend."
)


@dataclass
class Client:
    """What a client of a session gets."""

    session: Session
    events: list[Event] = field(default_factory=list)

    def of(self, kind: type[Event]) -> list[Event]:  # type: ignore[valid-type]  # a union's member
        return [event for event in self.events if isinstance(event, kind)]

    def words(self, utterance: Utterance) -> list[TimedWord]:
        audio = [event for event in self.events if isinstance(event, Audio)]
        return [word for one in audio if one.utterance is utterance for word in one.words]

    def pcm(self, utterance: Utterance) -> bytes:
        audio = [event for event in self.events if isinstance(event, Audio)]
        return b"".join(one.data for one in audio if one.utterance is utterance)


@asynccontextmanager
async def client_of(pool: Pool, *, max_chars: int = 100_000) -> AsyncIterator[Client]:
    async def emit(event: Event) -> None:
        client.events.append(event)
        await asyncio.sleep(0)

    client = Client(Session(Synthesizer(pool), emit, max_chars=max_chars))
    try:
        yield client
    finally:
        await client.session.aclose()
        await pool.aclose()


@pytest.fixture
async def tone() -> AsyncIterator[Client]:
    async with client_of(tone_pool()) as client:
        yield client


@pytest.fixture
async def hibari() -> AsyncIterator[Client]:
    async with client_of(build_pool(Settings(models=("hibari",)))) as client:
        yield client


def say(client: Client, text: str, request: SpeechRequest = PCM) -> Utterance:
    utterance = client.session.begin(request)
    utterance.append(text)
    return utterance


async def test_audio_comes_before_the_text_is_complete(tone: Client) -> None:
    utterance = say(tone, "Hello there. How are")
    async with asyncio.timeout(5):
        while len(tone.words(utterance)) < 2:  # noqa: ASYNC110 - any number of events
            await asyncio.sleep(0.01)
    assert [word.word for word in tone.words(utterance)] == ["Hello", "there"]
    utterance.append(" you?")
    utterance.end()
    await utterance.wait_ended()
    assert [word.word for word in tone.words(utterance)] == ["Hello", "there", "How", "are", "you"]
    assert isinstance(tone.events[0], Started)
    assert isinstance(done := tone.events[-1], Done)
    assert done.finish_reason == "complete"
    assert done.heard.heard == "Hello there. How are you?"
    assert len(tone.pcm(utterance)) == pytest.approx(2 * 24_000 * done.audio_s, abs=4)


async def test_the_same_words_are_said_live_and_whole(hibari: Client) -> None:
    """Pieces of any size that come at any time change neither the words nor their order."""
    explained = await hibari.session._stage.synthesizer.explain(SpeechRequest(TEXT, language="en"))
    words = [word for part in explained.segments for word in part.segment.words]
    chance = random.Random(3)
    for _ in range(20):
        utterance, left = hibari.session.begin(PCM), TEXT
        while left:
            size = chance.choice([1, 2, 3, 5, 10, 40])
            utterance.append(left[:size])
            left = left[size:]
            await asyncio.sleep(chance.choice([0, 0, 0, 0.001, 0.01]))
        utterance.end()
        await utterance.wait_ended()
        live = [(word.spoken, word.start, word.end) for word in hibari.words(utterance)]
        assert live == [(word.spoken, word.start, word.end) for word in words]


async def test_texts_are_spoken_one_after_the_other(tone: Client) -> None:
    texts = [say(tone, f"This is text number {n}. It has an end.") for n in range(3)]
    for text in texts:
        text.end()
    await tone.session.finish()
    order = [event.utterance for event in tone.events if isinstance(event, Audio)]
    assert order == sorted(order, key=texts.index)
    assert tone.session.utterances == ()


async def test_a_text_with_nothing_to_say_lets_the_next_one_speak(tone: Client) -> None:
    first, second = say(tone, "Hello there. And"), say(tone, "Me first.")
    second.end()
    await second.wait_ended()
    first.end()
    await first.wait_ended()
    assert [event.utterance for event in tone.of(Done)] == [second, first]
    assert [word.word for word in tone.words(first)] == ["Hello", "there", "And"]


async def test_a_flush_is_answered_when_all_before_it_is_said(tone: Client) -> None:
    utterance = say(tone, "Half a sentence and")
    utterance.flush()
    async with asyncio.timeout(5):
        while not tone.of(Flushed):  # noqa: ASYNC110 - any number of events
            await asyncio.sleep(0.01)
    assert [word.word for word in tone.words(utterance)] == ["Half", "a", "sentence", "and"]


async def test_a_text_of_marks_ends_without_audio_or_error(tone: Client) -> None:
    utterance = say(tone, "... !")
    utterance.end()
    await utterance.wait_ended()
    assert [type(event) for event in tone.events] == [Done]


async def test_an_unknown_voice_is_told_and_the_next_text_speaks(tone: Client) -> None:
    wrong = say(tone, "Hello.", SpeechRequest(text="", format="pcm", speaker="nobody"))
    right = say(tone, "Hello.")
    wrong.end()
    right.end()
    await tone.session.finish()
    [failed] = tone.of(Failed)
    assert isinstance(failed, Failed)
    assert isinstance(failed.error, UnknownVoice)
    assert [event.utterance for event in tone.of(Done)] == [right]


async def test_a_model_that_breaks_off_is_told(tone: Client) -> None:
    utterance = say(tone, "Hello there.", SpeechRequest(text="", format="pcm", speaker="crash"))
    utterance.end()
    await utterance.wait_ended()
    [failed] = tone.of(Failed)
    assert isinstance(failed, Failed)
    assert isinstance(failed.error, EngineFault)


async def test_limits_name_what_is_too_much(tone: Client) -> None:
    async with client_of(tone_pool(), max_chars=100) as client:
        utterance = client.session.begin(PCM)
        with pytest.raises(BadRequest, match="limit is 100"):
            client.session.append(utterance, "a" * 101)
        names = [client.session.begin(PCM).name for _ in range(MAX_UTTERANCES - 1)]
        assert len(set(names)) == MAX_UTTERANCES - 1
        with pytest.raises(BadRequest, match=f"{MAX_UTTERANCES} contexts"):
            client.session.begin(PCM)
        with pytest.raises(BadRequest, match="has begun"):
            client.session.begin(PCM, names[0])


async def test_what_was_heard_ends_where_the_models_times_say(hibari: Client) -> None:
    """Cut at 200 random moments of the audio: right to the word each time."""
    chance = random.Random(5)
    utterance = say(hibari, TEXT)
    utterance.end()
    await utterance.wait_ended()
    words, audio_s = hibari.words(utterance), utterance.sent_s
    for _ in range(200):
        played_s = chance.uniform(0, audio_s)
        outcome = await utterance.interrupt(played_s)
        heard = [word for word in words if (word.start_s + word.end_s) / 2 <= played_s]
        assert outcome.heard + outcome.unheard == TEXT
        end = heard[-1].end if heard else 0
        assert outcome.heard[:end] == TEXT[:end]
        assert not any(map(str.isalnum, outcome.heard[end:]))


async def test_an_interruption_is_at_once_and_nothing_follows(hibari: Client) -> None:
    chance = random.Random(7)
    for _ in range(20):
        hibari.events.clear()
        first, second = say(hibari, TEXT), say(hibari, "Never heard.")
        await asyncio.sleep(chance.uniform(0, 0.05))
        outcomes = await hibari.session.interrupt()
        told = len(hibari.events)
        (one, heard), (other, unheard) = outcomes
        assert (one, other) == (first, second)
        assert heard.heard + heard.unheard == TEXT
        assert (unheard.heard, unheard.unheard) == ("", "Never heard.")
        await asyncio.sleep(0.03)
        assert len(hibari.events) == told
        assert hibari.session.utterances == ()


async def test_a_thousand_interruptions_leave_nothing_behind() -> None:
    chance = random.Random(11)
    pool = tone_pool()
    async with client_of(pool) as client:
        say(client, "Warm up.").end()
        await client.session.finish()
        tasks = len(asyncio.all_tasks())
        for _ in range(1_000):
            client.events.clear()
            utterance = say(client, TEXT[: chance.randrange(1, len(TEXT))])
            if chance.random() < 0.5:
                utterance.end()
            await asyncio.sleep(chance.choice([0, 0, 0.001, 0.002]))
            await client.session.interrupt(chance.choice([None, 0.1]))
        del utterance
        client.events.clear()
        await asyncio.sleep(0.2)
        gc.collect()
        assert len(asyncio.all_tasks()) == tasks
        lease = await pool.acquire("tone")
        load = lease.engine.load
        lease.release()
        assert (load.waiting, load.running) == (0, 0)
        assert not any(type(one) is Utterance for one in gc.get_objects())


async def test_speech_at_another_pace_and_rate_has_its_times(tone: Client) -> None:
    request = SpeechRequest(text="", format="pcm", speed=1.5, sample_rate_hz=16_000)
    utterance = say(tone, "Hello there. How are you", request)
    utterance.end()
    await utterance.wait_ended()
    samples = np.frombuffer(tone.pcm(utterance), np.int16)
    assert len(samples) / 16_000 == pytest.approx(utterance.sent_s, abs=0.001)
    assert [word.word for word in tone.words(utterance)] == ["Hello", "there", "How", "are", "you"]


async def test_a_text_that_is_done_may_still_be_playing(hibari: Client) -> None:
    for text in ("It is all sent. It plays for a while.", "And so is this one."):
        say(hibari, text).end()
    await hibari.session.finish()
    [(first, heard), (second, unheard)] = await hibari.session.interrupt(0.9)
    assert (heard.heard, heard.unheard) == ("It is all sent.", " It plays for a while.")
    assert (unheard.heard, unheard.unheard) == ("", "And so is this one.")
    assert first.name != second.name
    assert await hibari.session.interrupt(0.9) == []
    for n in range(20):
        say(hibari, f"Text {n}.").end()
    await hibari.session.finish()
    assert await hibari.session.interrupt(name="3") == []
    [(_, heard)] = await hibari.session.interrupt(0.0, "22")
    assert (heard.heard, heard.unheard) == ("", "Text 19.")
