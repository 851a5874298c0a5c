"""The language-model half of a released checkpoint folder, loaded and ready to lay out prompts and make frames."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from vivavoce.engines.qwen.capture import Track
from vivavoce.engines.qwen.config import Config, read_config
from vivavoce.engines.qwen.frame import Batch
from vivavoce.engines.qwen.prefix import Prefix
from vivavoce.engines.qwen.prompt import PromptRequest, embed, embed_pad, lay_out, shared_prefix
from vivavoce.engines.qwen.talker import Talker
from vivavoce.engines.qwen.tokenizer import Tokenizer
from vivavoce.engines.qwen.weights import load_weights

SPEAKER_ENCODER = "speaker_encoder."  # in a clone model's file too, and loaded by its own module


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """A checkpoint's configuration, tokenizer and language model."""

    config: Config
    tokenizer: Tokenizer
    talker: Talker

    def prompt(self, request: PromptRequest) -> tuple[Tensor, Tensor]:
        """The prompt [positions, hidden] and the trailing text [tokens, hidden] of `request`."""
        return embed(lay_out(request, self.config, self.tokenizer), self.talker, request.clone)

    def shared_prompt(self, request: PromptRequest) -> tuple[Tensor, Tensor, Prefix]:
        """`prompt`, and what of it other requests in the same voice begin with too."""
        layout = lay_out(request, self.config, self.tokenizer)
        return *embed(layout, self.talker, request.clone), shared_prefix(layout, request.clone)

    def batch(self, slots: int, max_len: int, track: Track | None = None) -> Batch:
        """An empty batch of `slots` streams of at most `max_len` positions, prompt and frames together."""
        pad = embed_pad(self.talker, self.config)
        most = min(max_len, self.config.max_positions)
        return Batch(self.talker, self.config, pad, slots=slots, max_len=most, track=track)


def load_checkpoint(
    folder: Path, device: torch.device, dtype: torch.dtype, *, text_device: torch.device | None = None
) -> Checkpoint:
    """The checkpoint in `folder`, on `device` in `dtype`; its text embedding may stay on a `text_device`.

    Raises `MissingDependency` for absent files, `EngineFault` for files that are damaged or do not fit together.
    """
    config, tokenizer = read_config(folder), Tokenizer(folder)
    with torch.device("meta"):
        talker = Talker(config)
    load_weights(
        talker,
        folder,
        "talker.",
        place=lambda name: (text_device or device) if name == "model.text_embedding.weight" else device,
        dtype=dtype,
        others=(SPEAKER_ENCODER,),
    )
    return Checkpoint(config, tokenizer, talker.eval())
