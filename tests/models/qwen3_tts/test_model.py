"""The model behind the scheduler: independent streams, early audio, and every ending."""

import json
import logging
import random
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.models.qwen3_tts.small import CPU
from tests.models.qwen3_tts.whole import edit, segment, whole_checkpoint
from vivavoce.errors import BadRequest, EngineFault, MissingDependency, UnknownVoice
from vivavoce.models.qwen3_tts import QwenOptions
from vivavoce.models.qwen3_tts.codec import load_decoder
from vivavoce.models.qwen3_tts.network.talker import Talker
from vivavoce.models.qwen3_tts.runtime.memory import PROMPT_POSITIONS
from vivavoce.models.qwen3_tts.runtime.model import QwenModel
from vivavoce.models.qwen3_tts.tools.trace import read_request, trace
from vivavoce.types import Samples, SamplingOptions, Segment, StopReason

FRAME = 1920
TOLERANCE = 1e-4
SEGMENTS = (
    segment("Hello.", seed=1),
    segment("A longer one, which is spoken by somebody else.", seed=2, voice="vivian"),
    segment("Hello.", seed=3),
    Segment("你好，世界。", "eric", "zh", None, 4),
)


@cache
def shared() -> QwenModel:
    """Return one model with three slots for the tests that close what they open."""
    with TemporaryDirectory() as folder:
        return QwenModel(
            whole_checkpoint(Path(folder, "Tiny"), frames=24), QwenOptions(max_batch=3)
        )


def chunks(model: QwenModel, wanted: Segment) -> list[Samples]:
    """Return the results of every step for a segment spoken alone."""
    stream = model.open(wanted)
    made = []
    while not isinstance(samples := model.step([stream])[0], StopReason):
        made.append(samples)
    model.close(stream)
    return made


@cache
def alone(number: int) -> Samples:
    """Return the speech of `SEGMENTS[number]` alone."""
    return np.concatenate(chunks(shared(), SEGMENTS[number]))


def same(one: Samples, other: Samples) -> bool:
    return one.shape == other.shape and float(np.abs(one - other).max()) <= TOLERANCE


def test_sound_comes_with_the_first_frame_and_then_in_chunks_of_2_4_and_8() -> None:
    sizes = [len(samples) // FRAME for samples in chunks(shared(), SEGMENTS[0])]
    assert [size for size in sizes if size] == [1, 2, 4, 8, 8, 1]
    assert sizes[0] == 1
    assert len(sizes) == 24


def test_samples_are_those_of_the_trace(tmp_path: Path) -> None:
    folder = whole_checkpoint(tmp_path, frames=24)
    request = {
        "text": "Hello.", "speaker": "ryan", "language": "english", "seed": 1, "max_frames": 24,
    }  # fmt: skip
    codes = trace(folder, read_request(request, shared().config))["codes"]
    decoder = load_decoder(folder / "speech_tokenizer", CPU, torch.float32)
    assert same(alone(0), decoder.decode(codes.T[None])[0].numpy())
    assert np.abs(alone(0)).max() > 0.01


def test_other_seed_speaker_or_text_is_other_speech() -> None:
    assert not np.allclose(alone(0), alone(2))
    assert not np.allclose(alone(0), np.concatenate(chunks(shared(), segment(voice="vivian"))))


def test_without_a_seed_no_two_are_the_same() -> None:
    one, two = (np.concatenate(chunks(shared(), segment(seed=None))) for _ in range(2))
    assert not same(one, two)  # in length neither, if one of them drew its end


@pytest.mark.parametrize("seed", range(4))
def test_alone_is_as_beside_others_that_join_leave_and_wait(seed: int) -> None:
    chance, model = random.Random(seed), shared()
    waiting = chance.sample(range(len(SEGMENTS)), len(SEGMENTS))
    running: dict[int, object] = {}
    heard: dict[int, list[Samples]] = {}
    while waiting or running:
        if waiting and len(running) < model.max_batch and chance.random() < 0.4:
            number = waiting.pop()
            running[number], heard[number] = model.open(SEGMENTS[number]), []
        # The others' listeners have enough for now.
        stepped = [number for number in running if chance.random() < 0.7]
        for number, samples in zip(stepped, model.step([running[n] for n in stepped]), strict=True):
            if isinstance(samples, StopReason):
                model.close(running.pop(number))
            else:
                heard[number].append(samples)
    assert all(same(np.concatenate(made), alone(number)) for number, made in heard.items())
    assert len(heard) == len(SEGMENTS)
    assert model.slots_taken == 0


def test_closing_anywhere_frees_the_slot_and_leaves_the_others_as_they_are() -> None:
    model = shared()
    kept, left = model.open(SEGMENTS[0]), model.open(SEGMENTS[1])
    made = [model.step([kept, left])[0] for _ in range(3)]
    model.close(left)
    model.close(left)
    assert model.slots_taken == 1
    again = model.open(SEGMENTS[2])
    while not isinstance(made[-1], StopReason):
        made.append(model.step([kept, again])[0])
    model.close(kept)
    model.close(again)
    assert same(np.concatenate(made[:-1]), alone(0))
    assert model.slots_taken == 0


@pytest.mark.slow
def test_slots_outlive_a_thousand_joins_and_leaves() -> None:
    model, chance = shared(), random.Random(9)
    running: list[object] = []
    joined = 0
    while joined < 1000 or running:
        if joined < 1000 and len(running) < model.max_batch:
            running.append(model.open(SEGMENTS[joined % len(SEGMENTS)]))
            joined += 1
        if chance.random() < 0.1:
            model.step(running)
        if len(running) == model.max_batch or joined == 1000:
            model.close(running.pop(chance.randrange(len(running))))
    assert model.slots_taken == 0
    assert same(np.concatenate(chunks(model, SEGMENTS[0])), alone(0))


def test_text_that_never_ends_is_capped_by_its_length_and_said_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = QwenModel(whole_checkpoint(tmp_path, frames=200), QwenOptions(max_batch=1))
    assert sum(map(len, chunks(model, segment("Hey.")))) == (50 + 3 * 4) * FRAME
    assert (
        "stopped after 62 frames (5.0 s) of 4 characters, seed 1: no end of speech within its limit"
        in caplog.text
    )


def test_end_of_speech_ends_it_without_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = whole_checkpoint(tmp_path, frames=24)
    request = read_request(
        {"text": "Hello.", "speaker": "ryan", "language": "english", "seed": 1}, shared().config
    )
    said = trace(folder, request)["codes"][:24, 0].tolist()
    end = next(index for index in range(3, 24) if said[index] not in said[:index])
    config = json.loads((folder / "config.json").read_text("utf-8"))
    # The same model, to which one of the codes it would say means the end.
    edit(
        folder / "config.json",
        talker_config=config["talker_config"] | {"codec_eos_token_id": said[end]},
    )
    with caplog.at_level(logging.DEBUG):
        made = chunks(QwenModel(folder, QwenOptions(max_batch=1)), segment())
    assert sum(map(len, made)) == end * FRAME
    assert f"ended after {end} frames" in caplog.text
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def indifferent(folder: Path, **talker: object) -> QwenModel:
    """Return a model with equal scores for all first codes.

    It always draws the lowest allowed one.
    """
    edit(folder / "generation_config.json", do_sample=False, repetition_penalty=1.0)
    config = json.loads((folder / "config.json").read_text("utf-8"))
    edit(folder / "config.json", talker_config=config["talker_config"] | talker)
    tensors = load_file(folder / "model.safetensors")
    tensors["talker.codec_head.weight"].zero_()
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return QwenModel(folder, QwenOptions(max_batch=1))


def test_model_that_says_the_same_for_ever_is_stopped(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = indifferent(whole_checkpoint(tmp_path, frames=1000))
    assert sum(map(len, chunks(model, segment("A text of some length. " * 8)))) == 41 * FRAME
    assert "stopped after 41 frames" in caplog.text
    assert "its codes repeat themselves" in caplog.text


@pytest.mark.parametrize(("text", "frames"), [("Hey.", 2), ("A text of some length. " * 8, 18)])
def test_speech_cannot_end_before_its_text_can_have_been_said(
    tmp_path: Path, text: str, frames: int
) -> None:
    model = indifferent(whole_checkpoint(tmp_path, frames=100), codec_eos_token_id=0)
    assert sum(map(len, chunks(model, segment(text)))) == frames * FRAME


def ending(model: QwenModel, wanted: Segment) -> StopReason:
    stream = model.open(wanted)
    while not isinstance(result := model.step([stream])[0], StopReason):
        pass
    model.close(stream)
    return result


def test_ending_says_why() -> None:
    assert (
        ending(shared(), replace(SEGMENTS[0], sampling=SamplingOptions(max_new_tokens=5)))
        is StopReason.LENGTH
    )
    endless = replace(
        SEGMENTS[0], sampling=SamplingOptions(do_sample=False, repetition_penalty=1.0)
    )
    assert ending(shared(), endless) in (StopReason.LENGTH, StopReason.REPETITION)


def test_model_that_ends_or_sticks_says_so(tmp_path: Path) -> None:
    assert (
        ending(indifferent(whole_checkpoint(tmp_path / "a"), codec_eos_token_id=0), segment())
        is StopReason.COMPLETE
    )
    stuck = indifferent(whole_checkpoint(tmp_path / "b", frames=1000))
    assert ending(stuck, segment("A text of some length. " * 8)) is StopReason.REPETITION


def test_request_settles_how_its_codes_are_drawn() -> None:
    greedy = [
        np.concatenate(chunks(shared(), replace(SEGMENTS[0], seed=seed, sampling=options)))
        for seed in (1, 2)
        for options in (
            SamplingOptions(do_sample=False, subtalker_dosample=False),
            SamplingOptions(temperature=0, subtalker_temperature=0),
            SamplingOptions(top_k=1, subtalker_top_k=1),
            SamplingOptions(top_p=1e-6, subtalker_top_p=1e-6),
        )
    ]
    assert all(same(greedy[0], other) for other in greedy[1:])
    assert not same(greedy[0], alone(0))
    for options in (SamplingOptions(temperature=2.0), SamplingOptions(subtalker_top_k=2)):
        assert not same(
            np.concatenate(chunks(shared(), replace(SEGMENTS[0], sampling=options))), alone(0)
        )


def test_setting_that_cannot_be_is_named() -> None:
    with pytest.raises(BadRequest) as caught:
        shared().open(replace(SEGMENTS[0], sampling=SamplingOptions(subtalker_top_p=2.0)))
    assert caught.value.field == "subtalker_top_p"
    assert shared().slots_taken == 0


def test_speakers_and_languages_are_those_of_the_checkpoint() -> None:
    info = shared().info
    assert info.name == "tiny"
    assert {voice.id for voice in info.voices} == set(shared().config.speakers)
    assert sorted(info.languages) == sorted(
        ["zh", "en", "de", "it", "pt", "es", "ja", "ko", "fr", "ru"]
    )
    eric = next(voice for voice in info.voices if voice.id == "eric")
    assert (eric.languages[0], eric.gender, eric.description) == (
        "zh",
        "male",
        "Chinese in the sichuan dialect.",
    )
    assert (
        info.default_voices | {"de": "ryan", "ja": "ono_anna", "ko": "sohee", "zh": "vivian"}
        == info.default_voices
    )
    assert set(info.aliases.values()) <= {voice.id for voice in info.voices}
    assert info.capabilities.seed
    assert (
        not info.capabilities.deterministic
    )  # a seed repeats the codes; samples differ by roundings


def test_speakers_that_were_never_released_are_offered_as_they_are(tmp_path: Path) -> None:
    folder = whole_checkpoint(tmp_path)
    config = json.loads((folder / "config.json").read_text("utf-8"))
    edit(folder / "config.json", talker_config=config["talker_config"] | {"spk_id": {"Ada": 2900}})
    model = QwenModel(folder, QwenOptions(max_batch=1))
    assert [(voice.id, voice.gender) for voice in model.info.voices] == [("ada", "neutral")]
    assert set(model.info.aliases.values()) == {"ada"}
    assert chunks(model, segment(voice="ada"))


def test_instruct_changes_the_speech_of_models_that_follow_it(tmp_path: Path) -> None:
    model = QwenModel(whole_checkpoint(tmp_path, size="1b7"), QwenOptions(max_batch=1))
    assert model.info.capabilities.instruct
    assert not shared().info.capabilities.instruct
    plain, told = (
        np.concatenate(chunks(model, segment(instruct=text))) for text in (None, "Whisper.")
    )
    assert not np.allclose(plain, told)


def test_designed_voice_needs_its_description(tmp_path: Path) -> None:
    model = QwenModel(whole_checkpoint(tmp_path, "voice_design"), QwenOptions(max_batch=1))
    assert [voice.id for voice in model.info.voices] == ["design"]
    with pytest.raises(BadRequest, match="say in instruct") as caught:
        model.open(segment(voice="design"))
    assert caught.value.field == "instruct"
    assert chunks(model, segment(voice="design", instruct="An old sailor."))


def test_what_cannot_be_said_takes_no_slot(tmp_path: Path) -> None:
    model = QwenModel(whole_checkpoint(tmp_path, size="1b7"), QwenOptions(max_batch=1))
    with pytest.raises(UnknownVoice):
        model.open(segment(voice="nobody"))
    with pytest.raises(BadRequest, match=f"{PROMPT_POSITIONS} fit") as caught:
        model.open(segment(instruct="Speak softly. " * 80))
    assert caught.value.field == "instruct"
    assert model.slots_taken == 0


def test_an_instruction_that_is_too_long_is_not_embedded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = QwenModel(whole_checkpoint(tmp_path, size="1b7"), QwenOptions(max_batch=1))
    embedded: list[int] = []
    embed_text = Talker.embed_text

    def counted(talker: Talker, ids: torch.Tensor) -> torch.Tensor:
        embedded.append(len(ids))
        return embed_text(talker, ids)

    monkeypatch.setattr(Talker, "embed_text", counted)
    for instruct, says in (
        ("Speak softly. " * 80, "tokens together"),
        ("a " * 3_500_000, "7,000,000 characters"),
    ):
        with pytest.raises(BadRequest, match=says) as caught:
            model.open(segment(instruct=instruct))
        assert caught.value.field == "instruct"
    assert embedded == []


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"device": "nowhere"}, "nowhere"),
        ({"dtype": "int3"}, "int3"),
        ({"device": "cuda:99"}, "99"),
    ],
)
def test_device_or_dtype_that_is_not_there_is_named(
    tmp_path: Path, options: dict[str, str], named: str
) -> None:
    with pytest.raises(EngineFault, match=named):
        QwenModel(whole_checkpoint(tmp_path), QwenOptions(**options))  # type: ignore[arg-type]  # two strings


def test_low_precision_speaks(tmp_path: Path) -> None:
    model = QwenModel(whole_checkpoint(tmp_path), QwenOptions(dtype="bfloat16", max_batch=1))
    assert np.isfinite(np.concatenate(chunks(model, segment()))).all()


def test_folder_without_a_checkpoint_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(MissingDependency, match=r"is not there: download"):
        QwenModel(tmp_path / "nothing")
    with pytest.raises(MissingDependency, match=r"has no config\.json: download"):
        QwenModel(tmp_path)


def test_codec_of_another_model_is_refused(tmp_path: Path) -> None:
    folder = whole_checkpoint(tmp_path)
    config = json.loads((folder / "speech_tokenizer" / "config.json").read_text("utf-8"))
    decoder = config["decoder_config"] | {"codebook_size": 64}
    edit(folder / "speech_tokenizer" / "config.json", decoder_config=decoder)
    with pytest.raises(EngineFault, match="do not belong together"):
        QwenModel(folder)
