"""Measure the time that a copied prefix saves when a Qwen3-TTS stream starts.

The talker has the shape of the 0.6B model.

    python -m benchmarks.qwen_prefix

Random weights are made in memory, as only the time counts. Each prompt is read whole, then with its
prefix read by itself, then with the prefix copied, in turn for several rounds. The table has
medians.
"""

import argparse
import statistics
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from scripts.make_checkpoint import make_checkpoint
from torch import Tensor, nn

from vivavoce.models.qwen3_tts.checkpoint.config import StackConfig, read_config
from vivavoce.models.qwen3_tts.network.sampler import Sampling
from vivavoce.models.qwen3_tts.network.talker import Talker
from vivavoce.models.qwen3_tts.prompt.prefix_cache import Prefix
from vivavoce.models.qwen3_tts.runtime.batch import Batch

RELEASED = StackConfig(
    1024, 3072, layers=28, heads=16, kv_heads=8, head_dim=128, rope_theta=1e6, norm_eps=1e-6
)
# positions of the prompt, and how many of them are before its text
PROMPTS: Mapping[str, tuple[int, int]] = {
    "a speaker, one sentence": (32, 10),
    "a speaker, 250 characters": (72, 10),
    "a speaker and 40 tokens of instruct": (72, 50),
    "a clone in context with 40 words of its recording": (250, 50),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    batch, hidden = random_batch(max(length for length, _ in PROMPTS.values()) + 8)
    print("| Prompt | Positions | Shared | Whole, ms | First time, ms | Copied, ms | Saved |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for name, (length, shared) in PROMPTS.items():
        prompt = torch.randn(length, hidden)
        whole, first, copied = medians(batch, prompt, shared, rounds)
        saved = f"{1 - copied / whole:.0%}"
        print(
            f"| {name} | {length} | {shared} | {whole:.0f} | {first:.0f} "
            f"| {copied:.0f} | {saved} |",
            flush=True,
        )


def random_batch(max_len: int) -> tuple[Batch, int]:
    """Return a one-slot batch on a talker of the 0.6B shape, and its width.

    The talker's text embedding is left out.
    """
    with TemporaryDirectory() as folder:
        make_checkpoint(Path(folder), "custom_voice")  # tiny: for the ids and the tokenizer
        tiny = read_config(Path(folder))
    config = replace(tiny, talker=RELEASED)
    with torch.device("meta"):
        talker = Talker(config)
    for name, parameter in talker.named_parameters():
        if not name.startswith(("model.text_embedding", "code_predictor")):
            parent, _, leaf = name.rpartition(".")
            noise = torch.randn(parameter.shape) * 0.02
            setattr(talker.get_submodule(parent), leaf, nn.Parameter(noise, requires_grad=False))
    hidden = RELEASED.hidden_size
    batch = Batch(talker, config, torch.zeros(hidden), slots=1, max_len=max_len)
    batch.shortest_prefix = 1
    return batch, hidden


def medians(batch: Batch, prompt: Tensor, shared: int, rounds: int) -> tuple[float, float, float]:
    """Return the milliseconds to read `prompt` whole, after its prefix, and after a copied prefix.

    The prefix has `shared` positions.
    """
    nothing, times = torch.zeros(0, prompt.shape[1]), ([], [], [])
    for number in range(rounds + 1):  # the first round warms up
        new = Prefix(shared, (len(prompt), number))
        for kind, prefix in zip(times, (None, new, new), strict=True):
            start_s = time.perf_counter()
            slot = batch.open(prompt, nothing, Sampling(), prefix)
            kind.append((time.perf_counter() - start_s) * 1000)
            batch.close(slot)
    whole, first, copied = (statistics.median(kind[1:]) for kind in times)
    return whole, first, copied


if __name__ == "__main__":
    main()
