"""A host that runs ahead of the device and collects audio late changes no speech.

On CUDA this is always so. Here a CPU is made to lag. `test_model` has no lag.
"""

import json
import random
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

from tests.models.qwen3_tts.test_model import FRAME, SEGMENTS, chunks, ending, indifferent, same
from tests.models.qwen3_tts.whole import edit, segment, whole_checkpoint
from vivavoce.models.qwen3_tts import QwenOptions
from vivavoce.models.qwen3_tts.checkpoint.config import read_config
from vivavoce.models.qwen3_tts.runtime.model import QwenModel
from vivavoce.models.qwen3_tts.runtime.stream import SegmentStream
from vivavoce.models.qwen3_tts.tools.trace import read_request, trace
from vivavoce.types import Samples, SamplingOptions, StopReason

WISHES = (*SEGMENTS, replace(SEGMENTS[1], seed=7, sampling=SamplingOptions(max_new_tokens=5)))
PACES = [(0, False), (1, False), (1, True)]


@cache
def folder() -> TemporaryDirectory[str]:
    """Return a checkpoint whose end of speech is one of its usual codes.

    Its speech may thus end at any frame.
    """
    made = TemporaryDirectory()
    path = whole_checkpoint(Path(made.name, "Tiny"), frames=24)
    config = json.loads((path / "config.json").read_text("utf-8"))
    request = {"text": "Hello.", "speaker": "ryan", "language": "english", "seed": 1}
    said = trace(path, read_request(request, read_config(path)))["codes"][:24, 0].tolist()
    end = next(code for at, code in enumerate(said) if at >= 5 and code not in said[:at])
    edit(path / "config.json", talker_config=config["talker_config"] | {"codec_eos_token_id": end})
    return made


@cache
def paced(lag: int, fixed: bool) -> QwenModel:
    return QwenModel(Path(folder().name, "Tiny"), QwenOptions(max_batch=3), lag=lag, fixed=fixed)


@cache
def alone(number: int) -> tuple[Samples, StopReason]:
    """Return the speech and the ending of `WISHES[number]` without lag."""
    model = paced(0, False)
    made = np.concatenate(chunks(model, WISHES[number]))
    return made, ending(model, WISHES[number])


def test_wishes_end_in_more_than_one_way() -> None:
    assert {alone(number)[1] for number in range(len(WISHES))} == {
        StopReason.COMPLETE,
        StopReason.LENGTH,
    }
    assert alone(0)[1] is StopReason.COMPLETE


@pytest.mark.parametrize(("lag", "fixed"), PACES)
@pytest.mark.parametrize("seed", range(2))
def test_any_joining_waiting_and_leaving_gives_the_same_sound_and_ending(
    seed: int, lag: int, fixed: bool
) -> None:
    chance, model = random.Random(seed), paced(lag, fixed)
    waiting = chance.sample(range(len(WISHES)), len(WISHES)) + chance.choices(
        range(len(WISHES)), k=2
    )
    running: list[tuple[int, SegmentStream, list[Samples]]] = []
    ended = 0
    while waiting or running:
        if waiting and len(running) < model.max_batch and chance.random() < 0.5:
            number = waiting.pop()
            running.append((number, model.open(WISHES[number]), []))
        if running and chance.random() < 0.05:  # its listener leaves
            model.close(running.pop(chance.randrange(len(running)))[1])
        stepped = [entry for entry in running if chance.random() < 0.7]
        ahead_s = [chance.choice([-0.5, 0.0, 0.1, 0.5, 5.0]) for _ in stepped]
        for entry, result in zip(
            stepped, model.step([stream for _, stream, _ in stepped], ahead_s), strict=True
        ):
            number, stream, heard = entry
            if not isinstance(result, StopReason):
                heard.append(result)
                continue
            model.close(stream)
            running.remove(entry)
            assert result is alone(number)[1]
            assert same(np.concatenate(heard), alone(number)[0])
            ended += 1
    assert ended
    assert model.slots_taken == 0


@pytest.mark.parametrize("fixed", [False, True])
def test_first_audio_takes_two_steps_when_codes_come_a_frame_late(fixed: bool) -> None:
    model = paced(1, fixed)
    stream = model.open(WISHES[0])
    sizes = [
        len(samples)
        for samples in (model.step([stream], [0.0])[0] for _ in range(2))
        if isinstance(samples, np.ndarray)
    ]
    model.close(stream)
    assert sizes == [0, FRAME]


def test_slot_is_taken_again_while_a_frame_of_its_last_stream_is_on_its_way() -> None:
    model = paced(1, False)
    left = model.open(WISHES[1])
    model.step([left], [0.0])
    model.close(left)  # its frame was asked for and never read
    again = model.open(WISHES[0])
    assert again.slot == 0
    heard: list[Samples] = []
    while not isinstance(result := model.step([again], [0.0])[0], StopReason):
        heard.append(result)
    model.close(again)
    assert same(np.concatenate(heard), alone(0)[0])
    assert result is alone(0)[1]


def test_no_more_frames_are_asked_for_than_may_be_made() -> None:
    model = paced(1, False)
    stream = model.open(WISHES[4])
    most = stream.limit
    asked = 0
    while not isinstance(model.step([stream], [9.0])[0], StopReason):
        asked = max(asked, stream.requested)
    model.close(stream)
    assert asked == most == 5


def live(model: QwenModel, pieces: list[str]) -> tuple[Samples, StopReason]:
    """Return the speech of a text whose next piece is fed when one is used up."""
    stream, heard, left = model.open(replace(SEGMENTS[0], text="", live=True)), [], list(pieces)
    while True:
        if left and model.starving(stream):
            model.feed(stream, left.pop(0), last=not left)
            continue
        if isinstance(result := model.step([stream], [0.0])[0], StopReason):
            break
        heard.append(result)
    model.close(stream)
    return np.concatenate(heard), result


@pytest.mark.parametrize("fixed", [False, True])
def test_live_text_sounds_the_same_however_late_its_codes_are_read(fixed: bool) -> None:
    pieces = ["Good ", "morn", "ing. ", "Rain, ", "again."]
    whole, how = live(paced(0, False), ["".join(pieces)])
    late, late_how = live(paced(1, fixed), pieces)
    assert same(late, whole)
    assert late_how is how


def test_late_reader_stops_a_model_that_repeats_itself_at_the_same_frame(tmp_path: Path) -> None:
    folder = whole_checkpoint(tmp_path, frames=1000)
    indifferent(folder)
    model = QwenModel(folder, QwenOptions(max_batch=1), lag=1)
    assert sum(map(len, chunks(model, segment("A text of some length. " * 8)))) == 41 * FRAME
