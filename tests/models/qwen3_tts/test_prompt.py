"""The prompt, position by position, as described beside the paper.

`test_reference` checks its numbers.
"""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from scripts.make_checkpoint import make_checkpoint

from tests.models.qwen3_tts.small import CPU, SMALL
from vivavoce.errors import BadRequest, UnknownVoice, Unsupported
from vivavoce.models.qwen3_tts.checkpoint.folder import Checkpoint, load_checkpoint
from vivavoce.models.qwen3_tts.prompt.layout import (
    Clone,
    PromptLayout,
    PromptRequest,
    Sound,
    lay_out,
)

THINK, NOTHINK, OPEN, CLOSE, PAD, BOS = 2154, 2155, 2156, 2157, 2148, 2149
ENGLISH, CHINESE, SICHUAN, BEIJING = 2050, 2055, 2062, 2074
RYAN, ERIC, DYLAN = 3061, 2875, 2878
TALKER = replace(SMALL, size="1b7")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Checkpoint]:
    """Return a checkpoint of each task, of the size that follows instructions."""

    def load(task: str) -> Checkpoint:
        folder: Path = tmp_path_factory.mktemp(task)
        return load_checkpoint(make_checkpoint(folder, task, TALKER), CPU, torch.float32)

    return {task: load(task) for task in ("custom_voice", "voice_design", "base")}


def of(model: Checkpoint, request: PromptRequest) -> PromptLayout:
    return lay_out(request, model.config, model.tokenizer)


def sounds(layout: PromptLayout) -> list[Sound]:
    """Return the sounds of all positions that have one."""
    return [sound for _, sound in layout.positions if sound != "silence"]


def clone(frames: int | None = None) -> Clone:
    """Return a voice, in context if it has `frames`."""
    x_vector = torch.ones(SMALL.talker.hidden)
    if frames is None:
        return Clone(x_vector)
    return Clone(x_vector, torch.ones(frames, SMALL.codebooks, dtype=torch.int64), "abc")


@pytest.mark.parametrize(
    ("speaker", "language", "header"),
    [
        ("ryan", "english", [THINK, OPEN, ENGLISH, CLOSE, RYAN, PAD]),
        ("Ryan", "Auto", [NOTHINK, OPEN, CLOSE, RYAN, PAD]),
        ("eric", "auto", [THINK, OPEN, SICHUAN, CLOSE, ERIC, PAD]),
        ("dylan", "chinese", [THINK, OPEN, BEIJING, CLOSE, DYLAN, PAD]),
        ("dylan", "english", [THINK, OPEN, ENGLISH, CLOSE, DYLAN, PAD]),
        ("ryan", "chinese", [THINK, OPEN, CHINESE, CLOSE, RYAN, PAD]),
    ],
)
def test_header_tells_language_and_speaker_and_dialects_replace_chinese(
    speaker: str, language: str, header: list[int], models: dict[str, Checkpoint]
) -> None:
    layout = of(models["custom_voice"], PromptRequest("ab", language, speaker))
    assert sounds(layout)[: len(header)] == header


def test_text_known_in_advance_is_read_whole_before_speech_begins(
    models: dict[str, Checkpoint],
) -> None:
    model = models["custom_voice"]
    ids, encode = model.config.text_ids, model.tokenizer.encode
    layout = of(model, PromptRequest("abc", "english", "ryan"))
    role = [(token, "silence") for token in encode("<|im_start|>assistant\n")]
    header = [(ids.pad, sound) for sound in (THINK, OPEN, ENGLISH, CLOSE, RYAN)] + [(ids.bos, PAD)]
    text = [(token, PAD) for token in (*encode("abc"), ids.eos)] + [(ids.pad, BOS)]
    assert list(layout.positions) == role + header + text
    assert layout.trailing == ()


def test_streamed_text_gives_its_first_token_and_feeds_the_rest(
    models: dict[str, Checkpoint],
) -> None:
    model = models["custom_voice"]
    first, *rest = model.tokenizer.encode("abc")
    layout = of(model, PromptRequest("abc", "english", "ryan", stream_text=True))
    assert layout.positions[-1] == (first, BOS)
    assert layout.trailing == (*rest, model.config.text_ids.eos)


def test_instruction_comes_first_and_only_where_it_is_followed(
    models: dict[str, Checkpoint],
) -> None:
    request = PromptRequest("ab", instruct="Softly.")
    model = models["voice_design"]
    plain, told = of(model, replace(request, instruct=None)), of(model, request)
    turn = model.tokenizer.encode("<|im_start|>user\nSoftly.<|im_end|>\n")
    assert told.positions == (*((token, "silence") for token in turn), *plain.positions)
    assert sounds(plain)[:4] == [NOTHINK, OPEN, CLOSE, PAD]  # a designed voice has no speaker
    cloned = models["base"]
    assert of(cloned, replace(request, clone=clone())) == of(
        cloned, replace(request, instruct=None, clone=clone())
    )


def test_clone_by_x_vector_has_it_in_the_speakers_place(models: dict[str, Checkpoint]) -> None:
    layout = of(models["base"], PromptRequest("ab", "english", clone=clone(), stream_text=True))
    assert sounds(layout) == [THINK, OPEN, ENGLISH, CLOSE, "x_vector", PAD, BOS]


def test_clone_in_context_reads_both_texts_then_hears_the_recording(
    models: dict[str, Checkpoint],
) -> None:
    model = models["base"]
    layout = of(model, PromptRequest("de", "english", clone=clone(4)))
    ids = model.config.text_ids
    texts = [(token, PAD) for token in (*model.tokenizer.encode("abcde"), ids.eos)]
    assert list(layout.positions[-11:]) == [*texts, (ids.pad, BOS), *[(ids.pad, "reference")] * 4]


@pytest.mark.parametrize(("frames", "left"), [(2, 3), (5, 0), (9, 0)])
def test_clone_in_context_with_streamed_text_hears_and_reads_at_once(
    frames: int, left: int, models: dict[str, Checkpoint]
) -> None:
    model = models["base"]
    ids = model.config.text_ids
    text = [*model.tokenizer.encode("abcde"), ids.eos]
    layout = of(model, PromptRequest("de", "english", clone=clone(frames), stream_text=True))
    read = [token for token, _ in layout.positions[-frames - 1 :]]
    assert read == (text + [ids.pad] * 9)[: frames + 1]
    assert layout.trailing == tuple(text[len(text) - left :] if left else ())


def test_embedding_adds_text_and_sound_at_every_position(models: dict[str, Checkpoint]) -> None:
    model = models["base"]
    voice = replace(clone(3), codes=torch.arange(12).view(3, 4))
    request = PromptRequest("de", "english", clone=voice)
    prompt, _ = model.prompt(request)
    talker, positions = model.talker, of(model, request).positions
    text = talker.embed_text(torch.tensor([token for token, _ in positions]))
    at = [sound for _, sound in positions].index("x_vector")
    torch.testing.assert_close(prompt[at] - text[at], voice.x_vector)
    embeddings = [talker.model.codec_embedding, *talker.code_predictor.model.codec_embedding]
    frame = sum(
        embedding.weight[code] for embedding, code in zip(embeddings, [8, 9, 10, 11], strict=True)
    )
    torch.testing.assert_close(prompt[-1] - text[-1], frame)
    torch.testing.assert_close(prompt[:3], text[:3])


@pytest.mark.parametrize(
    ("task", "request_", "error", "field"),
    [
        ("custom_voice", PromptRequest("", speaker="ryan"), BadRequest, "text"),
        ("custom_voice", PromptRequest("a", speaker="nobody"), UnknownVoice, "speaker"),
        ("custom_voice", PromptRequest("a"), UnknownVoice, "speaker"),
        ("custom_voice", PromptRequest("a", "dutch", "ryan"), Unsupported, "language"),
        (
            "custom_voice",
            PromptRequest("a", speaker="ryan", clone=clone()),
            Unsupported,
            "ref_audio",
        ),
        ("voice_design", PromptRequest("a", speaker="ryan"), Unsupported, "speaker"),
        ("base", PromptRequest("a"), Unsupported, "ref_audio"),
        ("base", PromptRequest("a", clone=Clone(torch.ones(3))), BadRequest, "ref_audio"),
        ("base", PromptRequest("a", clone=replace(clone(2), text="")), BadRequest, "ref_text"),
        (
            "base",
            PromptRequest("a", clone=replace(clone(2), codes=torch.ones(2, 3))),
            BadRequest,
            "ref_audio",
        ),
    ],
)
def test_request_that_the_model_cannot_speak_names_its_field(
    task: str,
    request_: PromptRequest,
    error: type[BadRequest],
    field: str,
    models: dict[str, Checkpoint],
) -> None:
    with pytest.raises(error) as caught:
        of(models[task], request_)
    assert type(caught.value) is error
    assert caught.value.field == field
