"""What is compared between this engine and the published one: checkpoints, requests and clone tensors, by seed.

Plain JSON values and tensors, so that the same cases can be read in the oracle's environment, which cannot import
this package's dependencies at the versions that the product uses.
"""

import random
from dataclasses import asdict, replace
from typing import Any

import torch
from scripts.make_checkpoint import DIALECTS, SPEAKERS, Shape, Stack

TASKS = ("custom_voice", "voice_design", "base")
WORDS = (
    "the", "rain", "and", "the", "sun,", "walking", "further;", "你好", "世界", "¡olé!", "Ünïcode’s", "42", "cats",
    "don't", "—", "東京", "speak\tup", "🙂", "later.",
)  # fmt: skip


def random_shape(chance: random.Random) -> Shape:
    """A small language model of random dimensions; half of them need the projection of the 1.7B model."""
    talker, predictor = random_stack(chance), random_stack(chance)
    if chance.random() < 0.5:
        predictor = replace(predictor, hidden=talker.hidden)
    size = chance.choice(["0b6", "1b7"])
    return Shape(
        talker, predictor, text_hidden=chance.choice([32, 40, 64]), codes=chance.choice([256, 2048]), size=size
    )


def random_stack(chance: random.Random) -> Stack:
    """The dimensions of one decoder."""
    kv_heads = chance.choice([1, 2, 3])
    return Stack(
        hidden=chance.choice([32, 48, 64, 80]),
        intermediate=chance.choice([64, 96, 120]),
        layers=chance.choice([1, 2, 3]),
        heads=kv_heads * chance.choice([1, 2, 4]),
        kv_heads=kv_heads,
        head_dim=chance.choice([8, 12, 16, 24]),
    )


def random_requests(task: str, chance: random.Random, frames: int, most_words: int = 30) -> list[dict[str, Any]]:
    """Greedy requests for one checkpoint: both ways of feeding text, and every kind of voice the task has."""
    requests = []
    for in_advance in (True, False):
        for variant in ("x_vector_only", "in_context") if task == "base" else ("plain", "dialect"):
            request: dict[str, Any] = {"task": task, "text": words(chance, 3, most_words), "non_streaming": in_advance}
            request |= {"language": chance.choice(["auto", "english", "Chinese", "japanese"]), "max_frames": frames}
            if task == "base":
                request |= {"x_vector_only": variant == "x_vector_only", "ref_text": words(chance, 2, 12)}
            elif variant == "plain" or task == "voice_design":
                request["instruct"] = words(chance, 1, 9)
            if task == "custom_voice":
                names = list(DIALECTS) if variant == "dialect" else list(SPEAKERS)
                request["speaker"] = chance.choice(names).title()
                if variant == "dialect":
                    request["language"] = chance.choice(["auto", "chinese"])
            requests.append(request | {"greedy": True})
    return requests


def words(chance: random.Random, least: int, most: int) -> str:
    """Some words of several scripts."""
    return " ".join(chance.choices(WORDS, k=chance.randint(least, most)))


def random_clone(shape: Shape, chance: random.Random) -> dict[str, torch.Tensor]:
    """A voice to clone: `x_vector` [hidden] and `ref_codes` [frames, codebooks]."""
    generator = torch.Generator().manual_seed(chance.randrange(1 << 31))
    frames = chance.choice([2, 9, 40])
    return {
        "x_vector": torch.randint(-4096, 4097, (shape.talker.hidden,), generator=generator) / 4096,
        "ref_codes": torch.randint(0, shape.codes, (frames, shape.codebooks), generator=generator),
    }


def as_json(shape: Shape) -> dict[str, Any]:
    """`shape` as JSON."""
    return asdict(shape)


def from_json(values: dict[str, Any]) -> Shape:
    """The shape that `as_json` wrote."""
    return Shape(**{**values, "talker": Stack(**values["talker"]), "predictor": Stack(**values["predictor"])})
