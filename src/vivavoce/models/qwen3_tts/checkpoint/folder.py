"""The language-model half of a released checkpoint folder, loaded and ready to lay out prompts and make frames."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from vivavoce.models.qwen3_tts.checkpoint.config import Config, read_config
from vivavoce.models.qwen3_tts.checkpoint.tokenizer import Tokenizer
from vivavoce.models.qwen3_tts.checkpoint.weights import load_weights
from vivavoce.models.qwen3_tts.network.linear import WeightFormat, numbers_between
from vivavoce.models.qwen3_tts.network.packing import packing
from vivavoce.models.qwen3_tts.network.talker import Talker
from vivavoce.models.qwen3_tts.prompt.incremental_text import LiveText, LiveTurn
from vivavoce.models.qwen3_tts.prompt.layout import (
    REPLY,
    Layout,
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
from vivavoce.models.qwen3_tts.runtime.batch import Batch
from vivavoce.models.qwen3_tts.runtime.cuda import CudaStream
from vivavoce.models.qwen3_tts.runtime.memory import prompt_positions

SPEAKER_ENCODER = "speaker_encoder."  # in a clone model's file too, and loaded by its own module


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """A checkpoint's configuration, tokenizer and language model."""

    config: Config
    tokenizer: Tokenizer
    talker: Talker

    def prompt(self, request: PromptRequest) -> tuple[Tensor, Tensor]:
        """Return the prompt [positions, hidden] and the trailing text [tokens, hidden] of `request`."""
        return embed(lay_out(request, self.config, self.tokenizer), self.talker, request.clone)

    def shared_prompt(self, request: PromptRequest) -> tuple[Tensor, Tensor, Prefix]:
        """`prompt`, and what of it other requests in the same voice begin with too."""
        return self._embed(lay_out(request, self.config, self.tokenizer), request)

    def live_turn(self, request: PromptRequest) -> LiveTurn:
        """Return the turn of `request`, nothing of its text known yet.

        Raises `BadRequest` for what is wrong with the rest.
        """
        check(request, self.config)
        return LiveTurn(LiveText(self.tokenizer, REPLY))

    def live_prompt(
        self, request: PromptRequest, turn: LiveTurn
    ) -> tuple[Tensor, Tensor, Prefix] | None:
        """As `shared_prompt`, of what is known of `turn`: None while it is too little to begin with."""
        layout = lay_out_turn(
            request, self.config, self.tokenizer, turn.known, complete=turn.complete
        )
        if layout is None:
            return None
        return self._embed(layout, request)

    def _embed(self, layout: Layout, request: PromptRequest) -> tuple[Tensor, Tensor, Prefix]:
        """Return the embedded `layout`.

        Raises `BadRequest`, before it embeds anything, if it fits into no slot.
        """
        check_length(layout, request, prompt_positions(self.config))
        return *embed(layout, self.talker, request.clone), shared_prefix(layout, request.clone)

    def embed_text(self, ids: Sequence[int]) -> Tensor:
        """Text tokens as the talker reads them: [n, hidden]."""
        return self.talker.embed_text(torch.tensor(ids, dtype=torch.int64))

    def batch(self, slots: int, max_len: int, track: CudaStream | None = None) -> Batch:
        """Return an empty batch of `slots` streams of at most `max_len` positions, prompt and frames together."""
        pad = embed_pad(self.talker, self.config)
        most = min(max_len, self.config.max_positions)
        return Batch(self.talker, self.config, pad, slots=slots, max_len=most, track=track)


def load_checkpoint(
    folder: Path,
    device: torch.device,
    dtype: torch.dtype,
    *,
    form: WeightFormat = WeightFormat.PLAIN,
    text_device: torch.device | None = None,
) -> Checkpoint:
    """Return the checkpoint in `folder`, on `device` in `dtype`; its text embedding may stay on a
    `text_device`.

    In a `form` other than plain, `dtype` is that of the matrices, each of which is packed as soon
    as it is read, and what lies between them is float32. Raises `MissingDependency` for absent
    files, `EngineFault` for files that are damaged or do not fit together.
    """
    config, tokenizer = read_config(folder), Tokenizer(folder)
    with torch.device("meta"):
        talker = Talker(config)
    with packing(form, dtype) as pack:
        load_weights(
            talker,
            folder,
            "talker.",
            place=lambda name: (
                (text_device or device) if name == "model.text_embedding.weight" else device
            ),
            dtype=numbers_between(form, dtype),
            others=(SPEAKER_ENCODER,),
            finish=pack,
        )
    return Checkpoint(config, tokenizer, talker.eval())
