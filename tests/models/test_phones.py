"""Check the sounds of the embedded voices: their words in the text, and their times."""

from itertools import groupby, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vivavoce.models.hibari import VOICE, HibariModel
from vivavoce.models.kokoro.g2p.spans import place
from vivavoce.models.kokoro.times import FRAME_S, phones
from vivavoce.serving.local import LocalEngine
from vivavoce.serving.pool import Pool
from vivavoce.synthesis.synthesizer import Synthesizer
from vivavoce.text.words import word_spans
from vivavoce.types import AudioChunk, Phone, Samples, Segment, SpeechRequest, StopReason


@pytest.fixture(scope="module")
def model() -> HibariModel:
    return HibariModel()


def speak(model: HibariModel, segment: Segment) -> tuple[Samples, list[Phone]]:
    stream = model.open(segment)
    chunks: list[AudioChunk] = []
    while not isinstance(chunk := model.step([stream])[0], StopReason):
        chunks.append(chunk)
    return np.concatenate([chunk.samples for chunk in chunks]), [
        phone for chunk in chunks for phone in chunk.phones
    ]


def said(text: str, found: list[Phone]) -> list[tuple[str, str]]:
    """Return each word of `text` and its sounds."""
    groups = groupby(found, lambda phone: (phone.start, phone.end))
    return [(text[a:b], "".join(phone.ipa for phone in group)) for (a, b), group in groups]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "Hello, my well-known friend. It isn’t far!",
            [
                ("Hello", "həloʊ"), ("my", "maɪ"), ("well-known", "wɛlnoʊn"), ("friend", "fɹɛnd"),
                ("It", "ɪt"), ("isn’t", "ɪzənt"), ("far", "fɑɹ"),
            ],
        ),
        ("Shh, the U S A.", [("Shh", "ʃː"), ("the", "ðə"), ("U S A", "juɛseɪ")]),
        ("To 北京 now.", [("To", "tə"), ("北京", "beɪdʒɪŋ"), ("now", "naʊ")]),
        ("At $5 each.", [("At", "æt"), ("5", "faɪvdɑləɹz"), ("each", "itʃ")]),
    ],
)  # fmt: skip
def test_each_word_has_its_sounds(
    model: HibariModel, text: str, words: list[tuple[str, str]]
) -> None:
    _, found = speak(model, Segment(text, VOICE, "en"))
    assert said(text, found) == words


def test_sounds_of_the_author_keep_their_place(model: HibariModel) -> None:
    text = "Word tomato word lead."
    sounds = ((5, 11, "təˈmɑːtəʊ"), (17, 21, "lɛd"))
    _, found = speak(model, Segment(text, VOICE, "en", phonemes=sounds))
    assert said(text, found) == [
        ("Word", "wɜɹd"), ("tomato", "təmɑtoʊ"), ("word", "wɜɹd"), ("lead", "lɛd"),
    ]  # fmt: skip


WORDS = ("one", "well-known", "A M", "didn't", "Zürich", "北京", "Москва", "x" * 90, "a,b", "50%")


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from(WORDS), min_size=1, max_size=9), st.sampled_from([" ", ", ", ". "]))
def test_every_word_is_timed_in_order(model: HibariModel, words: list[str], between: str) -> None:
    text = between.join(words)
    samples, found = speak(model, Segment(text, VOICE, "en"))
    spans = list(word_spans(text, "en"))
    timed = {(phone.start, phone.end) for phone in found}
    assert all(any(a <= start and end <= b for a, b in timed) for start, end in spans)
    for one, two in pairwise(found):
        assert one.start_s < one.end_s <= two.start_s + 1e-9
        assert (one.start, one.end) == (two.start, two.end) or one.end <= two.start
    assert found[0].start_s > 0
    assert found[-1].end_s < len(samples) / model.info.sample_rate_hz


def test_durations_fill_the_audio(model: HibariModel) -> None:
    ids = model._tts.ids("həlˈO ðˈɛɹ, mI fɹˈɛnd.")
    *_, durations = model._network.run(ids)
    assert len(durations) == len(ids)
    samples, _ = speak(model, Segment("Hello there, my friend.", VOICE, "en"))
    assert sum(durations) * FRAME_S * model.info.sample_rate_hz == len(samples)


def test_times_are_those_of_the_sound(model: HibariModel) -> None:
    rate_hz = model.info.sample_rate_hz
    samples, found = speak(model, Segment("Stop. Stop.", VOICE, "en"))
    loud = np.abs(samples) > 0.02
    stops = [phone for phone in found if phone.ipa == "ɑ"]
    assert len(stops) == 2
    for phone in stops:
        assert loud[int(phone.start_s * rate_hz) : int(phone.end_s * rate_hz)].mean() > 0.3
    gap = found[3].end_s, found[4].start_s
    assert loud[int(gap[0] * rate_hz) : int(gap[1] * rate_hz)].mean() < 0.1


async def test_answer_tells_the_words(model: HibariModel) -> None:
    models = Pool({"hibari": lambda: LocalEngine(model)})
    text = "Pay $5 to Dr. Smith. He is well-known, isn't he?"
    request = SpeechRequest(text, model="hibari", timestamps="word", sample_rate_hz=16_000)
    speech = await Synthesizer(models).open(request)
    length = sum([len(slice_) async for slice_ in speech.samples()]) / speech.sample_rate_hz
    await models.aclose()
    assert speech.timing == "model"
    assert [word.word for word in speech.words] == [
        "Pay", "$5", "$5", "to", "Dr.", "Smith", "He", "is", "well-known", "isn't", "he",
    ]  # fmt: skip
    assert all(word.phones for word in speech.words)
    assert "".join(phone.ipa for phone in speech.words[1].phones) == "faɪv"
    ends = [0.0, *(time for word in speech.words for time in (word.start_s, word.end_s)), length]
    assert ends == sorted(ends)


def test_stress_and_length_belong_to_their_sound() -> None:
    spans = [(0, 3)] * 7
    found = phones("tˈO, ʧ→", spans, [2, 1, 1, 3, 4, 1, 2, 1, 5], 1.0)
    assert [(phone.ipa, round(phone.start_s, 3), round(phone.end_s, 3)) for phone in found] == [
        ("t", 1.05, 1.075), ("oʊ", 1.075, 1.175), ("tʃ", 1.3, 1.375),
    ]  # fmt: skip


def test_pieces_are_placed_by_their_letters() -> None:
    assert place(["A.M", ",", "now"], "A M now", "en") == [(0, 3), (0, 3), (4, 7)]
    assert place(["five", "dollars", "each"], "5 each", "en") == [(0, 1), (0, 1), (2, 6)]
    assert place(["“", "one"], "“one”", "en") == [(1, 4), (1, 4)]
    assert place(["x"], "!", "en") == [(0, 1)]
