"""Compare the scores of Qwen3-TTS's packed weights with plain float32 on the same codes.

    python benchmarks/qwen_fidelity.py [--checkpoint FOLDER] [--frames 40]

FOLDER is a CustomVoice checkpoint. Without it a random one of the 0.6B shape is made, which takes 3
GB of disk. Plain float32 speaks. Each other form is fed these codes frame by frame, in the steps in
which it speaks itself. So differences do not add up, and the remaining ones are those of the
matrices. It knows no audio.
"""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from scripts.make_checkpoint import SHAPES, make_checkpoint

from vivavoce.models.qwen3_tts.checkpoint.folder import Checkpoint, load_checkpoint
from vivavoce.models.qwen3_tts.network.kv_cache import KvCache, Prompt, Step
from vivavoce.models.qwen3_tts.network.linear import WeightFormat, stored_as
from vivavoce.models.qwen3_tts.network.sampler import Sampling
from vivavoce.models.qwen3_tts.prompt.layout import PromptRequest, embed_pad

TEXT = (
    "The quick brown fox jumps over the lazy dog, "
    "and then it runs home before the rain begins to fall."
)
TEMPERATURE = 0.9  # of the released models' draws, which is what a difference of scores matters for
FORMS = (
    (WeightFormat.PREPACKED, torch.float32),
    (WeightFormat.PREPACKED, torch.bfloat16),
    (WeightFormat.INT8, torch.float32),
    (WeightFormat.INT8_WEIGHTS, torch.bfloat16),  # as on CUDA, by the kernel's plain counterpart
)
CPU = torch.device("cpu")


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """The logits of every sampled code."""

    talker: Tensor  # [frames, codes]
    predictor: Tensor  # [frames × (codebooks - 1), codes]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--checkpoint", type=Path, help="a CustomVoice checkpoint's folder")
    parser.add_argument("--frames", type=int, default=40, help="frames that are compared")
    options = parser.parse_args()
    with TemporaryDirectory() as scratch, torch.inference_mode():
        folder = options.checkpoint or make_checkpoint(
            Path(scratch), "custom_voice", SHAPES["0.6b"]
        )
        print(
            "| Weights | KL, talker | KL, predictor "
            "| Same best code, talker | Same best code, predictor |"
        )
        print("| --- | ---: | ---: | ---: | ---: |")
        for row in rows(folder, options.frames):
            print(row, flush=True)


def rows(folder: Path, frames: int) -> Iterator[str]:
    """Yield a row of the table for each form. The forms are loaded one after the other."""
    plain = load_checkpoint(folder, CPU, torch.float32)
    codes = speak(plain, frames)
    expected = listen(plain, codes)
    del plain
    for form, dtype in FORMS:
        found = listen(load_checkpoint(folder, CPU, dtype, form=form), codes)
        pairs = ((expected.talker, found.talker), (expected.predictor, found.predictor))
        distances = (f"{divergence(*pair):.1e}" for pair in pairs)
        agreements = (
            f"{(pair[0].argmax(-1) == pair[1].argmax(-1)).double().mean():.1%}" for pair in pairs
        )
        yield f"| {' | '.join((stored_as(form, dtype), *distances, *agreements))} |"


def speak(checkpoint: Checkpoint, frames: int) -> Tensor:
    """Return the codes [frames, codebooks] of a sentence that does not end early."""
    prompt, trailing = checkpoint.prompt(request(checkpoint))
    batch = checkpoint.batch(1, len(prompt) + frames + 1)
    batch.open(prompt, trailing, Sampling(min_frames=frames + 1))
    return torch.cat([batch.step().codes.clone() for _ in range(frames)])


def listen(checkpoint: Checkpoint, codes: Tensor) -> Scores:
    """Return the scores of a stream that is fed `codes` [frames, codebooks]."""
    config, talker = checkpoint.config, checkpoint.talker
    prompt, trailing = checkpoint.prompt(request(checkpoint))
    text = torch.cat((trailing, embed_pad(talker, config).expand(len(codes), -1)))
    past = len(prompt) - 1
    cache = KvCache(config.talker, 1, past + len(codes), device=CPU, dtype=talker.dtype)
    frame_cache = KvCache(config.predictor, 1, config.codebooks, device=CPU, dtype=talker.dtype)
    talker.model.decode(prompt[None, :past], Prompt(cache, 0, past))
    inputs, first, rest = prompt[past:], list[Tensor](), list[Tensor]()
    for number, frame in enumerate(codes):
        cache.lengths[0] = past + number
        step = Step(cache, 1, past + number + 1, torch.ones(1, dtype=torch.bool))
        hidden = talker.model.decode(inputs[:, None], step)[:, 0]
        first.append(talker.codec_head(hidden)[:, : config.code_vocab_size])

        def draw(logits: Tensor, codebook: int, frame: Tensor = frame) -> Tensor:
            rest.append(logits)
            return frame[codebook : codebook + 1]

        embedded = talker.embed_codec(frame[:1])
        _, total = talker.code_predictor.complete(hidden, frame[:1], embedded, frame_cache, draw)
        inputs = total + text[number]
    return Scores(torch.cat(first), torch.cat(rest))


def request(checkpoint: Checkpoint) -> PromptRequest:
    """Return a request for a sentence by the checkpoint's first speaker."""
    return PromptRequest(TEXT, speaker=min(checkpoint.config.speakers), language="english")


def divergence(expected: Tensor, found: Tensor) -> float:
    """Return the mean Kullback-Leibler divergence of `found` from `expected`, in nats.

    Both are the distributions that codes are sampled from.
    """
    wanted, given = (
        (scores.double() / TEMPERATURE).log_softmax(-1) for scores in (expected, found)
    )
    return float((wanted.exp() * (wanted - given)).sum(-1).mean())


if __name__ == "__main__":
    main()
