"""One contender of benchmarks/qwen_vs_peers.py: loads a checkpoint, then makes as many frames as
each line asks for.

It runs in the contender's own environment: Python and torch, and `qwen_tts`, `faster_qwen3_tts` or
`vivavoce`. It says what it is ready with in a line of JSON, and after each round how many frames it
made in how many seconds: all of a request, prompt included, without the codec.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

TEXT = (
    "The quick brown fox jumps over the lazy dog, "
    "and then it runs home before the rain begins to fall."
)
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
Speak = Callable[[int], int]  # frames asked for → frames made


class Silence:
    """A codec that makes no audio: its time does not count here."""

    def decode(self, frames: list[Any]) -> tuple[list[Any], int]:
        return [torch.zeros(1).numpy() for _ in frames], 24000


def ours(folder: Path, device: str, dtype: str, weights: str) -> Speak:
    """Load vivavoce's language model for one stream alone."""
    from vivavoce.models.qwen3_tts.checkpoint.folder import load_checkpoint
    from vivavoce.models.qwen3_tts.network.sampler import Sampling
    from vivavoce.models.qwen3_tts.prompt.layout import PromptRequest
    from vivavoce.models.qwen3_tts.runtime.device import choose_form

    where = torch.device(device)
    checkpoint = load_checkpoint(
        folder, where, DTYPES[dtype], form=choose_form(weights, where, DTYPES[dtype])
    )

    def speak(frames: int) -> int:
        prompt, trailing = checkpoint.prompt(
            PromptRequest(TEXT, speaker="ryan", language="english")
        )
        batch = checkpoint.batch(1, len(prompt) + frames + 1)
        batch.open(prompt, trailing, Sampling(min_frames=frames + 1))
        for _ in range(frames):
            batch.step().codes[:, 0].tolist()
        return frames

    return speak


def published(folder: Path, device: str, dtype: str) -> Speak:
    """Load the published package, `qwen-tts` 0.1.1."""
    from qwen_tts import Qwen3TTSModel
    from qwen_tts.core.models import (
        Qwen3TTSConfig,
        Qwen3TTSForConditionalGeneration,
        Qwen3TTSProcessor,
    )
    from transformers import AutoConfig, AutoProcessor, PreTrainedModel

    AutoConfig.register("qwen3_tts", Qwen3TTSConfig)
    AutoProcessor.register(Qwen3TTSConfig, Qwen3TTSProcessor)
    loader = (
        PreTrainedModel.from_pretrained.__func__
    )  # the class's own would ask for the codec's folder
    options = {"dtype": DTYPES[dtype], "attn_implementation": "sdpa"}
    model = loader(Qwen3TTSForConditionalGeneration, folder, **options).eval().to(device)
    model.load_speech_tokenizer(Silence())
    processor = AutoProcessor.from_pretrained(folder, fix_mistral_regex=True)
    return _counted(Qwen3TTSModel(model=model, processor=processor, generate_defaults={}), model)


def faster(folder: Path, device: str, dtype: str) -> Speak:
    """Load `faster-qwen3-tts` 0.5.4. It needs CUDA and a whole checkpoint.

    Its codec's time counts.
    """
    from faster_qwen3_tts import FasterQwen3TTS

    model = FasterQwen3TTS.from_pretrained(str(folder), device=device, dtype=DTYPES[dtype])

    def speak(frames: int) -> int:
        options = {"max_new_tokens": frames, "min_new_tokens": frames}
        samples, _ = model.generate_custom_voice(
            text=TEXT, speaker="Ryan", language="English", **options
        )
        return len(samples[0]) // 1920

    return speak


def _counted(tts: Any, model: Any) -> Speak:
    made: list[int] = []
    generate = model.generate

    def spy(**given: Any) -> Any:
        result = generate(**given)
        made.append(len(result[0][0]))
        return result

    model.generate = spy

    def speak(frames: int) -> int:
        options = {"non_streaming_mode": True, "max_new_tokens": frames + 1}
        tts.generate_custom_voice(text=TEXT, speaker="Ryan", language="English", **options)
        return made[-1]

    return speak


def main() -> None:
    """Answer every line on stdin, a number of frames, with a line on stdout."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("contender", choices=["ours", "published", "faster"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32", choices=list(DTYPES))
    parser.add_argument("--weights", default="auto")
    parser.add_argument("--threads", type=int, required=True)
    given = parser.parse_args()
    out, sys.stdout = sys.stdout, sys.stderr  # libraries print
    torch.set_num_threads(given.threads)
    common = (given.folder, given.device, given.dtype)
    makers = {"published": published, "faster": faster}
    speak = (
        ours(*common, given.weights)
        if given.contender == "ours"
        else makers[given.contender](*common)
    )
    speak(4)  # the first call warms up
    print(json.dumps({"torch": torch.__version__}), file=out, flush=True)
    for line in sys.stdin:
        start = time.perf_counter()
        frames = speak(int(line))
        print(
            json.dumps({"frames": frames, "seconds": time.perf_counter() - start}),
            file=out,
            flush=True,
        )


if __name__ == "__main__":
    with torch.inference_mode():
        main()
