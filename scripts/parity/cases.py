"""Make the shapes, requests and recordings for comparisons with the published engine, by seed.

They reach both sides as files: a checkpoint's folder, `request.json`s and a WAV file. This module
knows neither side.
"""

import random
import wave
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from scripts.make_checkpoint import DIALECTS, SPEAKERS, Shape, Stack
from tests.models.qwen3_tts.codec_checkpoints import CodecShape, voice_like
from tests.models.qwen3_tts.codec_checkpoints import random_shape as random_codec_shape

RATE_HZ = 24_000
RECORDING = "voice.wav"
TASKS = ("custom_voice", "voice_design", "base")
WORDS = (
    "the", "rain", "and", "the", "sun,", "walking", "further;", "你好", "世界", "¡olé!",
    "Ünïcode’s", "42", "cats", "don't", "—", "東京", "speak\tup", "🙂", "later.",
)  # fmt: skip


def random_shape(chance: random.Random) -> Shape:
    """Return a small language model of random dimensions.

    Half of them need the projection of the 1.7B model.
    """
    talker, predictor = random_stack(chance), random_stack(chance)
    if chance.random() < 0.5:
        predictor = replace(predictor, hidden=talker.hidden)
    size = chance.choice(["0b6", "1b7"])
    return Shape(talker, predictor, text_hidden=chance.choice([32, 40, 64]), size=size)


def random_codec(seed: int) -> CodecShape:
    """Return a small codec of random dimensions that decodes all codes of the language model."""
    return replace(random_codec_shape(seed), entries=2048, codebooks=16)


def random_stack(chance: random.Random) -> Stack:
    """Return the dimensions of one decoder."""
    kv_heads = chance.choice([1, 2, 3])
    return Stack(
        hidden=chance.choice([32, 48, 64, 80]),
        intermediate=chance.choice([64, 96, 120]),
        layers=chance.choice([1, 2, 3]),
        heads=kv_heads * chance.choice([1, 2, 4]),
        kv_heads=kv_heads,
        head_dim=chance.choice([8, 12, 16, 24]),
    )


def random_requests(
    task: str, chance: random.Random, frames: int, most_words: int = 30
) -> list[dict[str, Any]]:
    """Return greedy `request.json`s for one checkpoint.

    They cover both ways of feeding text, and every kind of voice of the task. Of the two
    requests of a kind one leaves the language to the model.
    """
    requests = []
    for in_advance in (True, False):
        for variant in ("x_vector_only", "in_context") if task == "base" else ("plain", "dialect"):
            request: dict[str, Any] = {
                "task": task,
                "text": words(chance, 3, most_words),
                "non_streaming": in_advance,
            }
            named = in_advance == (variant in ("plain", "in_context"))
            request["language"] = (
                chance.choice(["english", "Chinese", "japanese"]) if named else "auto"
            )
            if task == "base":
                request |= {"ref_audio": RECORDING, "ref_text": words(chance, 2, 12)}
                request["x_vector_only"] = variant == "x_vector_only"
            elif variant == "plain" or task == "voice_design":
                request["instruct"] = words(chance, 1, 9)
            if task == "custom_voice":
                names = list(DIALECTS) if variant == "dialect" else list(SPEAKERS)
                request["speaker"] = chance.choice(names).title()
                if variant == "dialect" and named:
                    request["language"] = "chinese"
            requests.append(request | {"greedy": True, "max_frames": frames})
    return requests


def words(chance: random.Random, least: int, most: int) -> str:
    """Return some words of several scripts."""
    return " ".join(chance.choices(WORDS, k=chance.randint(least, most)))


def write_recording(path: Path, seed: int, seconds: float) -> None:
    """Write a voice-like WAV file of 16 bits at the models' own rate.

    At that rate, nothing resamples it.
    """
    samples = (voice_like(int(seconds * RATE_HZ), seed) * 32767).to(torch.int16)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(samples.numpy().tobytes())


def as_json(shape: Shape) -> dict[str, Any]:
    """Return `shape` as JSON."""
    return asdict(shape)


def from_json(values: dict[str, Any]) -> Shape:
    """Return the shape that `as_json` wrote."""
    return Shape(
        **{**values, "talker": Stack(**values["talker"]), "predictor": Stack(**values["predictor"])}
    )
