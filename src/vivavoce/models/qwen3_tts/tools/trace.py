"""Trace every number between a request and its codes, to compare with another implementation.

It makes one stream alone in float32 on the CPU. It knows no audio: a clone's x-vector and codes are
inputs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vivavoce.errors import BadRequest
from vivavoce.models.qwen3_tts.checkpoint.config import AUTO, Config, SamplingDefaults
from vivavoce.models.qwen3_tts.checkpoint.folder import Checkpoint, load_checkpoint
from vivavoce.models.qwen3_tts.network.sampler import Sampling
from vivavoce.models.qwen3_tts.prompt.layout import Clone, PromptRequest


@dataclass(frozen=True, slots=True, eq=False)
class TraceRequest:
    """A request to trace, up to the end of speech or `max_frames` frames."""

    prompt: PromptRequest
    sampling: Sampling = field(default_factory=Sampling)
    max_frames: int = 64


def read_request(
    entries: Mapping[str, Any], config: Config, clone: Clone | None = None
) -> TraceRequest:
    """Return the request that a `request.json` makes of a checkpoint.

    `clone` is the voice of its `ref_audio`. Entries for sampling that it lacks have the
    checkpoint's defaults. Raises `BadRequest`, naming the entry.
    """
    _check_entries(entries, config)
    in_advance = entries.get("non_streaming", config.task != "base")
    prompt = PromptRequest(
        text=entries["text"],
        language=entries.get("language") or AUTO,
        speaker=entries.get("speaker"),
        instruct=entries.get("instruct"),
        clone=clone,
        stream_text=not in_advance,
    )
    return TraceRequest(prompt, _sampling(entries, config), entries.get("max_frames", 64))


def _sampling(entries: Mapping[str, Any], config: Config) -> Sampling:
    defaults = config.generation
    return Sampling(
        talker=_overridden(defaults.talker, entries, ""),
        predictor=_overridden(defaults.predictor, entries, "subtalker_"),
        repetition_penalty=entries.get("repetition_penalty", defaults.repetition_penalty),
        seed=entries.get("seed", 0),
    )


def _overridden(
    defaults: SamplingDefaults, entries: Mapping[str, Any], prefix: str
) -> SamplingDefaults:
    """Return `defaults` with the entries of that prefix. `greedy` without one counts for both."""
    given = {name: entries[prefix + name] for name in _FIELDS if prefix + name in entries}
    if "greedy" in entries:
        given.setdefault("greedy", entries["greedy"])
    return replace(defaults, **given)


_FIELDS = tuple(entry.name for entry in fields(SamplingDefaults))
_TEXTS = ("task", "text", "speaker", "language", "instruct", "ref_audio", "ref_text")
_FLAGS = ("x_vector_only", "non_streaming", "greedy", "subtalker_greedy")
_COUNTS = ("seed", "max_frames", "top_k", "subtalker_top_k")
_NUMBERS = ("temperature", "subtalker_temperature", "top_p", "subtalker_top_p")
_TYPES: Mapping[str, type | tuple[type, ...]] = {
    **dict.fromkeys(_TEXTS, str),
    **dict.fromkeys(_FLAGS, bool),
    **dict.fromkeys(_COUNTS, int),
    **dict.fromkeys(("repetition_penalty", *_NUMBERS), (int, float)),
}


def _check_entries(entries: Mapping[str, Any], config: Config) -> None:
    for name, value in entries.items():
        if name not in _TYPES:
            problem = f"a trace request has no entry {name!r}; it knows {', '.join(_TYPES)}"
            raise BadRequest(problem, field=name)
        if value is not None and not isinstance(value, _TYPES[name]):
            raise BadRequest(f"{name} is {value!r}, which has the wrong type", field=name)
    if not entries.get("text"):
        raise BadRequest("a trace request needs its 'text'", field="text")
    if entries.get("task", config.task) != config.task:
        problem = f"task is {entries['task']!r}, this checkpoint's is {config.task!r}"
        raise BadRequest(problem, field="task")


def trace(checkpoint: Path | Checkpoint, request: TraceRequest) -> Mapping[str, Tensor]:
    """Return the tensors of a traced request by name.

    `prompt` is [positions, hidden], `trailing` [tokens, hidden], `codes` [frames, codebooks].
    `logits` [frames, vocabulary] are the talker's own, before penalties. The frame that ends the
    speech is left out.
    """
    if isinstance(checkpoint, Path):
        checkpoint = load_checkpoint(checkpoint, torch.device("cpu"), torch.float32)
    prompt, trailing = checkpoint.prompt(request.prompt)
    length = max(len(prompt) + request.max_frames, len(trailing) + 1)
    batch = checkpoint.batch(1, length)
    batch.open(prompt, trailing, request.sampling)
    codes: list[Tensor] = []
    logits: list[Tensor] = []
    while len(codes) < request.max_frames and batch.room(0):
        frame = batch.step()
        if frame.codes[0, 0] == checkpoint.config.codec_ids.eos:
            break
        codes.append(frame.codes[0])
        logits.append(frame.logits[0])
    config = checkpoint.config
    no_codes = torch.zeros(0, config.codebooks, dtype=torch.int64)
    no_logits = torch.zeros(0, config.codec_vocab_size)
    return {
        "prompt": prompt,
        "trailing": trailing,
        "codes": torch.stack(codes) if codes else no_codes,
        "logits": torch.stack(logits) if logits else no_logits,
    }
