"""Test that the times of words are those of their sound in the answer.

A model of clicks speaks: a click where each word begins. The clicks go through the whole chain and
must lie where the times say.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import tone_pool
from vivavoce.audio.join import SILENCE_LEVEL
from vivavoce.serving.base import Model
from vivavoce.serving.local import LocalEngine
from vivavoce.serving.pool import Pool
from vivavoce.synthesis.speech import Speech
from vivavoce.synthesis.synthesizer import Synthesizer
from vivavoce.types import (
    AudioChunk,
    Capabilities,
    EngineInfo,
    Phone,
    Samples,
    Segment,
    SpeechInput,
    SpeechRequest,
    StopReason,
    Voice,
)

NEAR_S = 0.002
CLICK, HUM = 0.9, 0.05
WORDS = ("one", "two", "seven", "eleven", "extraordinary", "a")


@dataclass(eq=False, slots=True)
class _Clicks:
    samples: Samples
    phones: list[Phone]
    given: int = 0


class ClickModel(Model[_Clicks]):
    """A click at the start of each word, a hum after it, and near-silence around it all."""

    max_batch, lanes = 4, 1

    def __init__(self, name: str, rate_hz: int, chunk: int = 1_000, *, timed: bool = True) -> None:
        self._chunk = chunk
        self.info = EngineInfo(
            name, rate_hz, ("en",), (Voice(name, name, ("en",)),), Capabilities(timed=timed)
        )

    def open(self, segment: Segment) -> _Clicks:
        rate_hz = self.info.sample_rate_hz
        parts = [np.full(int(0.17 * rate_hz), SILENCE_LEVEL / 2, np.float32)]
        phones = []
        at = len(parts[0])
        for word in re.finditer(r"\w+", segment.text):
            size = int((0.15 + 0.03 * len(word[0])) * rate_hz)
            sound = HUM * np.sin(np.arange(size, dtype=np.float32) * 900 / rate_hz)
            sound[0] = CLICK
            parts.append(sound.astype(np.float32))
            phones.append(Phone("x", at / rate_hz, (at + size) / rate_hz, *word.span()))
            at += size
        parts.append(np.full(int(0.3 * rate_hz), SILENCE_LEVEL / 2, np.float32))
        return _Clicks(np.concatenate(parts), phones)

    def step(
        self, streams: Sequence[_Clicks], ahead_s: Sequence[float]
    ) -> Sequence[Samples | AudioChunk | StopReason]:
        return [self._next(stream) for stream in streams]

    def _next(self, stream: _Clicks) -> AudioChunk | StopReason:
        start, stream.given = stream.given, stream.given + self._chunk
        samples = stream.samples[start : stream.given]
        if not len(samples):
            return StopReason.COMPLETE
        end_s = stream.given / self.info.sample_rate_hz
        known = [phone for phone in stream.phones if phone.start_s < end_s]
        stream.phones = stream.phones[len(known) :]
        return AudioChunk(samples, tuple(known))


def pool(chunk: int) -> Pool:
    models = [ClickModel("high", 24_000, chunk), ClickModel("low", 16_000, chunk)]
    return Pool({model.info.name: lambda model=model: LocalEngine(model) for model in models})


async def spoken(request: SpeechRequest, chunk: int = 1_000) -> tuple[Speech, Samples, list[int]]:
    """Return the speech, its audio, and how many words were known before each slice."""
    models = pool(chunk)
    try:
        speech = await Synthesizer(models).open(replace(request, timestamps="word"))
        slices, known = [], []
        async for slice_ in speech.samples():
            known += [len(speech.words)] * len(slice_)
            slices.append(slice_)
    finally:
        await models.aclose()
    return speech, np.concatenate(slices), known


def clicks(audio: Samples, rate_hz: int) -> list[float]:
    """Return the times of the clicks, each the loudest sample within 40 ms."""
    loud = np.abs(audio)
    found: list[float] = []
    for at in np.flatnonzero(loud > 4 * HUM):
        around = loud[max(at - int(0.04 * rate_hz), 0) : at + int(0.04 * rate_hz)]
        if loud[at] == around.max():
            found.append(at / rate_hz)
    return found


sentences = st.lists(st.sampled_from(WORDS), min_size=1, max_size=8).map(" ".join)
texts = st.lists(sentences, min_size=1, max_size=4).map(lambda parts: ". ".join(parts) + ".")
inputs = st.lists(
    st.builds(
        SpeechInput,
        text=texts,
        speaker=st.sampled_from(["high", "low"]),
        pause_s=st.sampled_from([None, 0.0, 0.7]),
    ),
    min_size=1,
    max_size=3,
).map(tuple)


@settings(max_examples=40, deadline=None)
@given(inputs, st.sampled_from([None, 8_000, 16_000, 44_100, 48_000]), st.integers(300, 9_000))
async def test_each_click_lies_where_its_word_begins(
    inputs: tuple[SpeechInput, ...], rate_hz: int | None, chunk: int
) -> None:
    request = SpeechRequest("", inputs=inputs, sample_rate_hz=rate_hz)
    speech, audio, known = await spoken(request, chunk)
    starts = [word.start_s for word in speech.words]
    heard = clicks(audio, speech.sample_rate_hz)
    assert len(heard) == len(starts)
    assert np.abs(np.subtract(heard, starts)).max() < NEAR_S
    written = [word for part in inputs for word in re.findall(r"\w+", part.text)]
    assert [word.word for word in speech.words] == written
    for number, word in enumerate(speech.words):
        assert inputs[word.input].text[word.start : word.end] == word.word
        assert known[round(word.start_s * speech.sample_rate_hz)] > number
    assert all(one.end_s <= two.start_s + 1e-6 for one, two in pairwise(speech.words))
    assert speech.timing == "model"


@pytest.mark.parametrize("speed", [0.25, 0.6, 1.7, 4.0])
@pytest.mark.parametrize("pitch", [1.0, 0.7])
async def test_times_survive_speed_and_pitch(speed: float, pitch: float) -> None:
    text = "one two seven eleven extraordinary a one two. extraordinary seven two a."
    speech, audio, known = await spoken(SpeechRequest(text, speed=speed, pitch=pitch))
    heard = np.array(clicks(audio, speech.sample_rate_hz))
    assert len(speech.words) == len(re.findall(r"\w+", text))
    starts = np.array([word.start_s for word in speech.words])
    gaps = np.abs(heard[:, np.newaxis] - starts)
    # Slow speech repeats clicks, fast speech leaves some out, and both fade some into others:
    # `tests/audio/test_tempo.py` has the proof to 2 ms for sounds that are heard once.
    nearest = gaps.min(axis=0 if speed < 1 else 1)
    assert np.mean(nearest < NEAR_S) >= 0.75
    assert nearest.max() < 0.06
    for number, word in enumerate(speech.words):
        assert known[min(round(word.start_s * speech.sample_rate_hz), len(known) - 1)] > number


async def test_ssml_and_reading_lead_back_to_the_author() -> None:
    text = '<speak>Pay $5 <break time="1s"/> to <prosody volume="loud">Ann</prosody>.</speak>'
    speech, audio, _ = await spoken(SpeechRequest(text, normalize=True))
    assert [(word.word, word.spoken) for word in speech.words] == [
        ("Pay", "Pay"), ("$5", "five"), ("$5", "dollars"), ("to", "to"), ("Ann", "Ann"),
    ]  # fmt: skip
    heard = clicks(audio, speech.sample_rate_hz)
    assert np.abs(np.subtract(heard, [word.start_s for word in speech.words])).max() < NEAR_S


async def test_untimed_model_gets_estimates() -> None:
    model = ClickModel("plain", 24_000, timed=False)
    models = Pool({"plain": lambda: LocalEngine(model)})
    request = SpeechRequest("one two, seven. extraordinary a.", timestamps="word")
    speech = await Synthesizer(models).open(request)
    length = sum([len(slice_) async for slice_ in speech.samples()]) / speech.sample_rate_hz
    await models.aclose()
    assert speech.timing == "estimated"
    assert [word.word for word in speech.words] == ["one", "two", "seven", "extraordinary", "a"]
    ends = [0.0, *(time for word in speech.words for time in (word.start_s, word.end_s)), length]
    assert ends == sorted(ends)


async def test_nobody_asks_and_nothing_is_kept() -> None:
    models = tone_pool()
    speech = await Synthesizer(models).open(SpeechRequest("one two", speaker="sine"))
    assert [slice_ async for slice_ in speech.samples()]
    await models.aclose()
    assert not speech.words
