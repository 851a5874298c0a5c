"""Compares our Qwen3-TTS language model with the published package on fresh random checkpoints.

    python -m scripts.parity.language_model                       (some seeds, all tasks)
    python -m scripts.parity.language_model --write tests/engines/qwen/data

Prompts within 1e-5, logits within 1e-4, greedy codes identical, in float32. `--write` keeps the smallest cases as
reference tensors for the tests, which then need no oracle.
"""

import argparse
import json
import random
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from scripts.make_checkpoint import TINY, Shape, make_checkpoint
from scripts.parity import cases
from scripts.parity.oracle import run_oracle

from vivavoce.engines.qwen.checkpoint import Checkpoint, load_checkpoint
from vivavoce.engines.qwen.prompt import Clone, embed_pad
from vivavoce.engines.qwen.trace import read_request, trace

PROMPT_TOLERANCE, LOGIT_TOLERANCE = 1e-5, 1e-4
LOGIT_STRIDE = 61  # of the logits, every 61st column is kept in the repository

Tensors = dict[str, torch.Tensor]


def clone_of(request: dict[str, Any], tensors: Tensors) -> Clone | None:
    """The voice that `request` clones, if it does."""
    if request["task"] != "base":
        return None
    if request["x_vector_only"]:
        return Clone(tensors["x_vector"])
    return Clone(tensors["x_vector"], tensors["ref_codes"], request["ref_text"])


def ours(checkpoint: Checkpoint, request: dict[str, Any], tensors: Tensors) -> Tensors:
    """What our engine makes of `request`."""
    entries = {name: value for name, value in request.items() if name != "task"} | {"task": checkpoint.config.task}
    result = dict(trace(checkpoint, read_request(entries, checkpoint.config, clone_of(request, tensors))))
    if not len(result["trailing"]):  # the published code always has one row, which it adds at every frame
        result["trailing"] = embed_pad(checkpoint.talker, checkpoint.config)[None]
    return result


def differences(mine: Tensors, theirs: Tensors) -> dict[str, float]:
    """The largest difference of each tensor; for codes, the number of frames that differ."""
    result = {}
    for name in ("prompt", "trailing", "logits"):
        same = mine[name].shape == theirs[name].shape
        result[name] = float((mine[name] - theirs[name]).abs().max()) if same else float("inf")
    same = mine["codes"].shape == theirs["codes"].shape
    result["codes"] = float((mine["codes"] != theirs["codes"]).any(-1).sum()) if same else float("inf")
    return result


def agree(found: dict[str, float]) -> bool:
    """Whether `differences` are within what is promised."""
    exact = found["codes"] == 0 and found["logits"] <= LOGIT_TOLERANCE
    return exact and found["prompt"] <= PROMPT_TOLERANCE and found["trailing"] <= PROMPT_TOLERANCE


def compare(
    folder: Path, task: str, shape: Shape, seed: int, frames: int, most_words: int
) -> tuple[bool, Tensors, dict[str, Any]]:
    """Runs both on one random checkpoint; whether all agreed, the oracle's tensors, and how to repeat it."""
    chance = random.Random(seed)
    make_checkpoint(folder / "checkpoint", task, shape, seed=seed)
    requests = cases.random_requests(task, chance, frames, most_words)
    tensors = cases.random_clone(shape, chance)
    (folder / "case.json").write_text(json.dumps(requests), encoding="utf-8")
    save_file(tensors, folder / "clone.safetensors")
    run_oracle(Path(__file__).with_name("lm_oracle.py"), folder)
    answers = load_file(folder / "oracle.safetensors")
    checkpoint = load_checkpoint(folder / "checkpoint", torch.device("cpu"), torch.float32)
    all_agree = True
    for number, request in enumerate(requests):
        theirs = {name: answers[f"{number}.{name}"] for name in ("prompt", "trailing", "codes", "logits")}
        found = differences(ours(checkpoint, request, tensors), theirs)
        all_agree &= agree(found)
        report(task, seed, number, len(theirs["prompt"]), len(theirs["codes"]), found)
    recipe = {"task": task, "shape": cases.as_json(shape), "seed": seed, "requests": requests}
    return all_agree, {**answers, **tensors}, recipe


def report(task: str, seed: int, number: int, positions: int, frames: int, found: dict[str, float]) -> None:
    """Prints one line of the table."""
    numbers = "  ".join(f"{name} {value:.1e}" for name, value in found.items() if name != "codes")
    verdict = "ok" if agree(found) else "DIFFERS"
    print(
        f"{task:12} seed {seed} #{number}: {positions:3} positions, {frames} frames  {numbers}  "
        f"frames that differ {found['codes']:.0f}  {verdict}",
        flush=True,
    )


def write_references(folder: Path, tensors: dict[str, Tensors], recipes: dict[str, Any]) -> None:
    """Keeps the oracle's answers, logits thinned out, and the recipes for the same checkpoints."""
    kept = {}
    for task, found in tensors.items():
        for name, tensor in found.items():
            small = tensor[:, ::LOGIT_STRIDE] if name.endswith("logits") else tensor
            small = small.to(torch.int16) if not small.is_floating_point() else small
            kept[f"{task}.{name}"] = small.contiguous()
    folder.mkdir(parents=True, exist_ok=True)
    save_file(kept, folder / "language_model.safetensors")
    (folder / "language_model.safetensors").chmod(0o644)  # the library writes for the owner alone
    text = json.dumps({"logit_stride": LOGIT_STRIDE, "checkpoints": recipes}, indent=1, ensure_ascii=False)
    (folder / "language_model.json").write_text(text + "\n", encoding="utf-8")


def main() -> None:
    """The command line: exits with 1 if anything differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--write", type=Path, metavar="FOLDER", help="keep tiny cases as the tests' references")
    wanted = parser.parse_args()
    seeds = [0] if wanted.write else wanted.seeds
    all_agree, tensors, recipes = True, {}, {}
    for seed in seeds:
        for task in cases.TASKS:
            shape = TINY if wanted.write else cases.random_shape(random.Random(f"{seed} {task}"))
            with tempfile.TemporaryDirectory() as folder:
                good, tensors[task], recipes[task] = compare(
                    Path(folder), task, shape, seed, wanted.frames, 6 if wanted.write else 30
                )
            all_agree &= good
    if wanted.write and all_agree:
        write_references(wanted.write, tensors, recipes)
    sys.exit(not all_agree)


if __name__ == "__main__":
    main()
