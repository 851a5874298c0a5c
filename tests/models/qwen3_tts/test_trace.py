"""A trace runs the request of its file and has every number on the way."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from scripts.make_checkpoint import make_checkpoint

from tests.models.qwen3_tts.small import SMALL, alone, small
from vivavoce.errors import BadRequest
from vivavoce.models.qwen3_tts.tools.trace import read_request, trace

HELLO = {
    "task": "custom_voice", "text": "Hello there.", "speaker": "Ryan", "language": "english",
    "seed": 1,
}  # fmt: skip


def test_trace_holds_prompt_codes_and_logits_of_the_frames_that_were_made(tmp_path: Path) -> None:
    make_checkpoint(tmp_path, "custom_voice", SMALL, seed=5)
    result = trace(tmp_path, read_request({**HELLO, "max_frames": 9}, small().config))
    assert torch.equal(result["codes"], alone(0)[:9])
    assert result["logits"].shape == (9, SMALL.codec_vocab)
    assert result["prompt"].shape[1] == SMALL.talker.hidden
    assert result["trailing"].shape == (0, SMALL.talker.hidden)


def test_trace_stops_before_the_frame_that_ends_the_speech() -> None:
    said = alone(0)[:, 0].tolist()
    end = next(index for index in range(5, 24) if said[index] not in said[:index])
    # The same model, to which one of the codes it would say means the end.
    ids = replace(small().config.codec_ids, eos=said[end])
    ending = replace(small(), config=replace(small().config, codec_ids=ids))
    codes = trace(ending, read_request({**HELLO, "max_frames": 24}, ending.config))["codes"]
    assert torch.equal(codes, alone(0)[:end])


def test_request_overrides_the_checkpoints_sampling() -> None:
    config = small().config
    given = {
        "temperature": 0.5, "top_k": 7, "subtalker_top_p": 0.8, "repetition_penalty": 1.2,
        "max_frames": 3,
    }  # fmt: skip
    request = read_request({**HELLO, **given}, config)
    assert (request.sampling.talker.temperature, request.sampling.talker.top_k) == (0.5, 7)
    assert (request.sampling.predictor.temperature, request.sampling.predictor.top_p) == (0.9, 0.8)
    assert (request.sampling.repetition_penalty, request.sampling.seed, request.max_frames) == (
        1.2,
        1,
        3,
    )
    assert not request.prompt.stream_text
    assert read_request({**HELLO, "non_streaming": False}, config).prompt.stream_text
    greedy = read_request({**HELLO, "greedy": True}, config).sampling
    assert greedy.talker.greedy
    assert greedy.predictor.greedy
    mixed = read_request({**HELLO, "greedy": True, "subtalker_greedy": False}, config).sampling
    assert not mixed.predictor.greedy


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"tempo": 1}, "tempo"),
        ({"text": ""}, "text"),
        ({"text": 3}, "text"),
        ({"task": "base"}, "task"),
        ({"top_k": 0.5}, "top_k"),
        ({"temperature": 0.0}, "temperature"),
        ({"greedy": 1}, "greedy"),
    ],
)
def test_request_entry_that_is_wrong_is_named(change: dict[str, Any], field: str) -> None:
    with pytest.raises(BadRequest) as caught:
        read_request({**HELLO, **change}, small().config)
    assert caught.value.field == field
