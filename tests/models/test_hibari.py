"""Check the embedded English model on the real network."""

import numpy as np
import pytest

from vivavoce.errors import Unsupported
from vivavoce.models.hibari import HibariModel
from vivavoce.models.hibari.model import latin
from vivavoce.types import Samples, Segment, StopReason


@pytest.fixture(scope="module")
def model() -> HibariModel:
    return HibariModel()


def speak(model: HibariModel, text: str, seed: int | None = None) -> Samples:
    stream = model.open(Segment(text, "heart", "en", seed=seed))
    parts: list[Samples] = []
    while not isinstance(chunk := model.step([stream])[0], StopReason):
        parts.append(chunk.samples)
    model.close(stream)
    return np.concatenate(parts)


def test_sentence_takes_as_long_as_a_person_would(model: HibariModel) -> None:
    seconds = (
        speak(model, "The quick brown fox jumps over the lazy dog.").size
        / model.info.sample_rate_hz
    )
    assert 2.0 < seconds < 4.5


def test_numbers_are_spoken(model: HibariModel) -> None:
    assert (
        speak(model, "It costs $1,250.99 on 3 March 2024.").size
        > 2 * speak(model, "It costs on March.").size
    )


def test_each_step_is_one_utterance(model: HibariModel) -> None:
    stream = model.open(Segment("One is here. Two is there.", "heart", "en"))
    steps = [model.step([stream])[0] for _ in range(3)]
    assert [isinstance(step, StopReason) for step in steps] == [False, False, True]


def test_seed_repeats_the_samples(model: HibariModel) -> None:
    one, again, other = (speak(model, "Repeat after me.", seed) for seed in (1, 1, 2))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("text", ["…", "?!", "—"])
def test_text_without_a_word_is_refused_not_silent(model: HibariModel, text: str) -> None:
    with pytest.raises(Unsupported, match="nothing to say"):
        model.open(Segment(text, "heart", "en"))


def test_foreign_letters_are_said_in_latin_ones(model: HibariModel) -> None:
    assert latin("Beijing (北京), naïve café") == "Beijing (BeiJing), naïve café"
    assert speak(model, "Welcome to 北京.").size > speak(model, "Welcome to.").size
