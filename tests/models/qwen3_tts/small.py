"""Make a very small language model and streams on it, for tests with many frames."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from scripts.make_checkpoint import Shape, Stack, make_checkpoint
from torch import Tensor

from vivavoce.models.qwen3_tts.checkpoint.config import SamplingDefaults
from vivavoce.models.qwen3_tts.checkpoint.folder import Checkpoint, load_checkpoint
from vivavoce.models.qwen3_tts.network.linear import WeightFormat
from vivavoce.models.qwen3_tts.network.sampler import Sampling
from vivavoce.models.qwen3_tts.prompt.layout import PromptRequest
from vivavoce.models.qwen3_tts.runtime.batch import Batch

CPU = torch.device("cpu")
SMALL = Shape(
    Stack(32, 48, 2, 4, 2, 8), Stack(24, 40, 1, 2, 1, 8), text_hidden=24, codebooks=4, codes=64
)
GREEDY = SamplingDefaults(greedy=True)


@cache
def small(form: WeightFormat = WeightFormat.PLAIN) -> Checkpoint:
    """Return the small model, made and loaded once in each form."""
    with TemporaryDirectory() as folder:
        made = make_checkpoint(Path(folder), "custom_voice", SMALL, seed=5)
        return load_checkpoint(made, CPU, torch.float32, form=form)


@dataclass(frozen=True)
class Wish:
    """One stream: its prompt and its sampling."""

    text: str
    sampling: Sampling
    stream_text: bool = False

    @property
    def request(self) -> PromptRequest:
        return PromptRequest(
            self.text, speaker="ryan", language="english", stream_text=self.stream_text
        )

    def open(self, batch: Batch) -> int:
        return batch.open(*small().prompt(self.request), self.sampling)


# Unlike in length, in settings and in how text is fed.
WISHES = (
    Wish("Hello there.", Sampling(seed=1)),
    Wish(
        "Good morning, and the rest of it, which takes a while to read out loud.",
        Sampling(GREEDY, GREEDY),
    ),
    Wish("Hello there.", Sampling(seed=2)),
    Wish(
        "Rain.",
        Sampling(SamplingDefaults(1.3, 0, 0.7), SamplingDefaults(0.5, 3, 1.0), 1.3, seed=3),
        True,
    ),
    Wish(
        "A stream of text, read while it speaks.",
        Sampling(SamplingDefaults(top_k=5), GREEDY, 1.0, seed=-4),
        True,
    ),
)


@cache
def alone(number: int, frames: int = 24) -> Tensor:
    """Return the codes [frames, codebooks] of `WISHES[number]` when nothing else speaks."""
    batch = small().batch(1, 192)
    WISHES[number].open(batch)
    return torch.stack([batch.step().codes[0] for _ in range(frames)])


def spoken(batch: Batch, slots: Sequence[int], frames: int) -> list[Tensor]:
    """Return the next codes [frames, codebooks] of each of `slots`."""
    made = [batch.step().codes for _ in range(frames)]
    return [
        torch.stack([codes[slot] for codes in made]) if made else torch.zeros(0, 4)
        for slot in slots
    ]
