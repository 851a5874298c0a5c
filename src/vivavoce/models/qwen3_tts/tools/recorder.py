"""Record every number between a request file and its speech, for `vivavoce trace`.

It adds the sound to `trace`: a clone's recording becomes an x-vector and codes, codes become a
waveform. Everything is computed in float32 on the CPU, one stream alone.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from vivavoce.audio import Resampler, decode_recording
from vivavoce.errors import BadRequest
from vivavoce.models.qwen3_tts.checkpoint.folder import load_checkpoint
from vivavoce.models.qwen3_tts.checkpoint.hub import locate
from vivavoce.models.qwen3_tts.codec import load_decoder, load_encoder
from vivavoce.models.qwen3_tts.network.speaker_encoder import load_speaker_encoder
from vivavoce.models.qwen3_tts.prompt.layout import Clone
from vivavoce.models.qwen3_tts.tools.trace import read_request, trace

CPU = torch.device("cpu")
CODEC = "speech_tokenizer"
RATE_HZ = 24_000


def write_trace(checkpoint: Path, request: Path, out: Path) -> Mapping[str, tuple[int, ...]]:
    """Trace the request of a JSON file into the file `out`, and return all shapes.

    The tensors of this safetensors file are `prompt` [positions, hidden], `trailing` [tokens,
    hidden], `codes` [frames, codebooks], `logits` [frames, vocabulary], `waveform` [samples], and
    for a clone `ref_codes` [frames, codebooks] and `speaker_embedding` [hidden]. A relative
    `ref_audio` is relative to the request.
    """
    tensors = trace_speech(checkpoint, _read_json(request), request.parent)
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, out)
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def trace_speech(folder: Path, entries: Mapping[str, Any], beside: Path) -> Mapping[str, Tensor]:
    """Return the tensors that `write_trace` writes. Raises `BadRequest`, naming the entry."""
    checkpoint = load_checkpoint(locate(folder), CPU, torch.float32)
    read_request(entries, checkpoint.config)  # before the work on a recording
    clone = _clone(folder, entries, beside) if checkpoint.config.task == "base" else None
    made = dict(trace(checkpoint, read_request(entries, checkpoint.config, clone)))
    reference = None if clone is None else clone.codes
    made["waveform"] = _waveform(folder, made["codes"], reference)
    if clone is not None:
        made["speaker_embedding"] = clone.x_vector
    if reference is not None:
        made["ref_codes"] = reference
    return made


def _waveform(folder: Path, codes: Tensor, reference: Tensor | None) -> Tensor:
    """Return the samples of `codes` [frames, codebooks], that follow those of `reference`."""
    decoder = load_decoder(folder / CODEC, CPU, torch.float32)
    heard = codes if reference is None else torch.cat([reference, codes])
    samples = decoder.decode(heard.T[None])[0]
    return samples[(len(heard) - len(codes)) * decoder.samples_per_frame :].clone()


def _clone(folder: Path, entries: Mapping[str, Any], beside: Path) -> Clone:
    """Return the voice of the request's recording."""
    if not entries.get("ref_audio"):
        problem = "a trace of a Base checkpoint needs 'ref_audio', the path of a recording"
        raise BadRequest(problem, field="ref_audio")
    samples = _read_recording(beside / entries["ref_audio"])
    vector = load_speaker_encoder(folder, CPU, torch.float32).embed(samples)
    if entries.get("x_vector_only"):
        return Clone(vector)
    if not entries.get("ref_text"):
        problem = "a clone in context needs 'ref_text'; or set 'x_vector_only' to true"
        raise BadRequest(problem, field="ref_text")
    codes = load_encoder(folder / CODEC, CPU, torch.float32).encode(samples)  # [codebooks, frames]
    return Clone(vector, codes.T.contiguous(), entries["ref_text"])


def _read_recording(path: Path) -> Tensor:
    """Return the samples [n] of a recording at the model's rate. The formats are the server's."""
    try:
        samples, rate = decode_recording(path.read_bytes())
    except OSError as error:
        problem = f"ref_audio {str(path)!r} cannot be read ({error.strerror})"
        raise BadRequest(problem, field="ref_audio") from error
    resampler = Resampler(rate, RATE_HZ)
    try:
        return torch.from_numpy(np.concatenate([resampler.write(samples), resampler.finish()]))
    finally:
        resampler.close()


def _read_json(path: Path) -> dict[str, Any]:
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        problem = f"the request {str(path)!r} cannot be read as JSON ({error})"
        raise BadRequest(problem, field="request") from error
    if not isinstance(entries, dict):
        raise BadRequest(f"the request {str(path)!r} must be a JSON object", field="request")
    return entries
