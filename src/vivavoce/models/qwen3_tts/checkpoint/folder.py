"""Load the language model and the codec of a checkpoint folder."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from vivavoce.errors import EngineFault, MissingDependency
from vivavoce.models.qwen3_tts.checkpoint.config import Config, read_config
from vivavoce.models.qwen3_tts.checkpoint.tokenizer import Tokenizer
from vivavoce.models.qwen3_tts.checkpoint.weights import load_weights
from vivavoce.models.qwen3_tts.codec import CodecDecoder, load_decoder, read_codec_config
from vivavoce.models.qwen3_tts.codec.precision import codec_dtype, set_precision
from vivavoce.models.qwen3_tts.network.linear import WeightFormat, numbers_between
from vivavoce.models.qwen3_tts.network.packing import packing
from vivavoce.models.qwen3_tts.network.talker import Talker
from vivavoce.models.qwen3_tts.prompt.incremental_text import IncrementalText, LiveTurn
from vivavoce.models.qwen3_tts.prompt.layout import (
    REPLY,
    PromptLayout,
    PromptRequest,
    check,
    check_length,
    embed,
    embed_pad,
    lay_out,
    lay_out_turn,
    shared_prefix,
)
from vivavoce.models.qwen3_tts.prompt.prefix_cache import Prefix
from vivavoce.models.qwen3_tts.prompt.voices import RATE_HZ
from vivavoce.models.qwen3_tts.runtime.batch import Batch
from vivavoce.models.qwen3_tts.runtime.cuda import CudaStream
from vivavoce.models.qwen3_tts.runtime.memory import prompt_positions

SPEAKER_ENCODER = "speaker_encoder."  # also in a clone model's file, loaded by its own module


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """A checkpoint's configuration, tokenizer and language model."""

    config: Config
    tokenizer: Tokenizer
    talker: Talker

    def prompt(self, request: PromptRequest) -> tuple[Tensor, Tensor]:
        """Return the prompt [positions, hidden] and the trailing text [tokens, hidden]."""
        return embed(lay_out(request, self.config, self.tokenizer), self.talker, request.clone)

    def shared_prompt(self, request: PromptRequest) -> tuple[Tensor, Tensor, Prefix]:
        """Return `prompt`, and the prefix that other requests in the same voice share."""
        return self._embed(lay_out(request, self.config, self.tokenizer), request)

    def live_turn(self, request: PromptRequest) -> LiveTurn:
        """Return the turn of `request`, with no text yet. Raises `BadRequest`."""
        check(request, self.config)
        return LiveTurn(IncrementalText(self.tokenizer, REPLY))

    def live_prompt(
        self, request: PromptRequest, turn: LiveTurn
    ) -> tuple[Tensor, Tensor, Prefix] | None:
        """Return `shared_prompt` of the text known so far, or None while it is too short."""
        config, tokenizer = self.config, self.tokenizer
        layout = lay_out_turn(request, config, tokenizer, turn.known, complete=turn.complete)
        return None if layout is None else self._embed(layout, request)

    def _embed(self, layout: PromptLayout, request: PromptRequest) -> tuple[Tensor, Tensor, Prefix]:
        """Embed `layout`, with its shared prefix. Raises `BadRequest` if no slot is that long."""
        check_length(layout, request, prompt_positions(self.config))
        return *embed(layout, self.talker, request.clone), shared_prefix(layout, request.clone)

    def embed_text(self, ids: Sequence[int]) -> Tensor:
        """Return the talker's embeddings [n, hidden] of text tokens."""
        return self.talker.embed_text(torch.tensor(ids, dtype=torch.int64))

    def batch(self, slots: int, max_len: int, cuda_stream: CudaStream | None = None) -> Batch:
        """Return an empty batch of `slots` streams, `max_len` positions each, frames included."""
        talker, config, pad = self.talker, self.config, embed_pad(self.talker, self.config)
        most = min(max_len, config.max_positions)
        return Batch(talker, config, pad, slots=slots, max_len=most, cuda_stream=cuda_stream)


def check_folder(folder: Path) -> None:
    """Raise `MissingDependency` with the next step if there is no checkpoint in `folder`."""
    if not (folder / "config.json").is_file():
        what = "has no config.json" if folder.is_dir() else "is not there"
        raise MissingDependency(
            f"the Qwen3-TTS checkpoint {str(folder)!r} {what}: download a whole checkpoint, such "
            "as Qwen/Qwen3-TTS-12Hz-0.6B-CustomVoice, into a folder, and name that folder in "
            "the setting 'qwen'"
        )


def load_checkpoint(
    folder: Path,
    device: torch.device,
    dtype: torch.dtype,
    *,
    form: WeightFormat = WeightFormat.PLAIN,
    text_device: torch.device | None = None,
) -> Checkpoint:
    """Return the checkpoint in `folder`, on `device` in `dtype`.

    The text embedding may stay on a `text_device`. In a `form` other than plain, `dtype` is the
    type of the matrices, and everything between them is float32. Each matrix is packed as soon as
    it is read. Raises `MissingDependency` for absent files, `EngineFault` for files that are
    damaged or do not fit together.
    """
    config, tokenizer = read_config(folder), Tokenizer(folder)
    with torch.device("meta"):
        talker = Talker(config)

    def place(name: str) -> torch.device:
        return (text_device or device) if name == "model.text_embedding.weight" else device

    numbers, others = numbers_between(form, dtype), (SPEAKER_ENCODER,)
    with packing(form, dtype) as pack:
        load_weights(
            talker, folder, "talker.", place=place, dtype=numbers, others=others, finish=pack
        )
    return Checkpoint(config, tokenizer, talker.eval())


def load_codec(
    folder: Path, device: torch.device, config: Config, precision: str = "auto"
) -> CodecDecoder:
    """Return the checkpoint's codec.

    Raises `EngineFault` for codebooks of another model, and for an unknown `precision`.
    """
    dtype = codec_dtype(precision)
    codec = read_codec_config(folder)
    decoder = codec.decoder
    drawn = min(config.suppressed_tokens, default=config.codec_vocab_size)
    entries = max(config.code_vocab_size, drawn)
    if decoder.num_quantizers != config.codebooks or decoder.codebook_size < entries:
        raise EngineFault(
            f"{str(folder)!r} decodes {decoder.num_quantizers} codebooks of "
            f"{decoder.codebook_size}, the checkpoint speaks in {config.codebooks} of {entries}: "
            "they do not belong together, fetch the checkpoint again"
        )
    if codec.sample_rate_hz != RATE_HZ:
        rate_hz = codec.sample_rate_hz
        raise EngineFault(f"{str(folder)!r} decodes to {rate_hz} Hz, this engine to {RATE_HZ}")
    loaded = load_decoder(folder, device, dtype)
    set_precision(loaded, precision)
    return loaded
