"""Prompts, codes and logits equal those of the published package.

They are stored as small tensors by `scripts/parity`.
"""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from scripts.make_checkpoint import make_checkpoint
from scripts.parity.cases import from_json
from scripts.parity.trace import TOLERANCES

from tests.models.qwen3_tts.small import CPU
from vivavoce.models.qwen3_tts.checkpoint.folder import Checkpoint, load_checkpoint
from vivavoce.models.qwen3_tts.network.linear import WeightFormat
from vivavoce.models.qwen3_tts.prompt.layout import Clone
from vivavoce.models.qwen3_tts.tools.trace import TraceRequest, read_request

DATA = Path(__file__).parent / "data"
RECIPES = json.loads((DATA / "language_model.json").read_text(encoding="utf-8"))
TASKS = list(RECIPES["checkpoints"])


def requests_of(
    task: str, checkpoint: Checkpoint, kept: dict[str, torch.Tensor]
) -> list[TraceRequest]:
    """Return the recorded requests of `task`, with the published package's voice."""
    entries: list[dict[str, Any]] = RECIPES["checkpoints"][task]["requests"]
    requests = []
    for number, entry in enumerate(entries):
        codes, vector = (
            kept.get(f"{task}.{number}.{name}") for name in ("ref_codes", "speaker_embedding")
        )
        clone = (
            None
            if vector is None
            else Clone(vector, codes, None if codes is None else entry["ref_text"])
        )
        requests.append(read_request(entry, checkpoint.config, clone))
    return requests


@pytest.mark.parametrize("form", [WeightFormat.PLAIN, WeightFormat.PREPACKED])
@pytest.mark.parametrize("task", TASKS)
def test_prompts_codes_and_logits_are_those_of_the_published_package(
    task: str, form: WeightFormat, tmp_path: Path
) -> None:
    recipe, kept = RECIPES["checkpoints"][task], load_file(DATA / "language_model.safetensors")
    make_checkpoint(tmp_path, task, from_json(recipe["shape"]), seed=recipe["seed"])
    checkpoint = load_checkpoint(tmp_path, CPU, torch.float32, form=form)
    requests = requests_of(task, checkpoint, kept)
    batch = checkpoint.batch(len(requests), 512)
    for number, request in enumerate(requests):
        prompt, trailing = checkpoint.prompt(request.prompt)
        torch.testing.assert_close(
            prompt, kept[f"{task}.{number}.prompt"], atol=TOLERANCES["prompt"], rtol=0
        )
        if len(trailing):
            torch.testing.assert_close(
                trailing, kept[f"{task}.{number}.trailing"], atol=TOLERANCES["prompt"], rtol=0
            )
        assert batch.open(prompt, trailing, request.sampling) == number
    running = set(range(len(requests)))
    for index in range(50):  # all requests at once: the published package made each alone
        frame = batch.step()
        for number in sorted(running):
            codes = kept[f"{task}.{number}.codes"].long()
            if index == len(codes):
                assert frame.codes[number, 0] == checkpoint.config.codec_ids.eos
                batch.close(number)
                running.remove(number)
                continue
            assert torch.equal(frame.codes[number], codes[index])
            ours = frame.logits[number, :: RECIPES["logit_stride"]]
            torch.testing.assert_close(
                ours, kept[f"{task}.{number}.logits"][index], atol=TOLERANCES["logits"], rtol=0
            )
    assert running
