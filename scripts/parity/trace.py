"""Compare `vivavoce trace` with the published package on random checkpoints.

The comparison covers everything from files to waveform.

    python -m scripts.parity.trace                      some seeds, all tasks, random small shapes
    python -m scripts.parity.trace --size 0.6b --tasks custom_voice --folder SCRATCH   (gigabytes)
    python -m scripts.parity.trace --write tests/models/qwen3_tts/data

Everything is in float32, and codes are greedy. `--write` keeps the smallest cases as reference
tensors, so that the tests need no oracle.
"""

import argparse
import io
import json
import os
import random
import sys
import tempfile
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from scripts.make_checkpoint import SHAPES, TINY, Shape
from scripts.parity import cases
from scripts.parity.oracle import run_oracle
from tests.models.qwen3_tts.codec_checkpoints import (
    RELEASED,
    RELEASED_SPEAKER,
    CodecShape,
    SpeakerShape,
)
from tests.models.qwen3_tts.whole import write_whole

from vivavoce.cli import app

# The largest allowed differences. Tensors without one must be identical.
TOLERANCES = {
    "prompt": 1e-5, "trailing": 1e-5, "logits": 1e-4, "waveform": 1e-4, "speaker_embedding": 1e-4,
}  # fmt: skip
LOGIT_STRIDE = 61  # of the logits, every 61st column is kept in the repository

Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Case:
    """One checkpoint and its requests, all derived from the seed."""

    task: str
    seed: int
    shape: Shape
    codec: CodecShape
    speaker: SpeakerShape
    requests: list[dict[str, Any]]

    def write(self, folder: Path) -> None:
        """Write the input files of both sides."""
        write_whole(
            folder / "checkpoint", self.task, self.shape, self.codec, self.speaker, seed=self.seed
        )
        cases.write_recording(
            folder / cases.RECORDING, self.seed, seconds=0.5 + 0.71 * (self.seed % 5)
        )
        for number, request in enumerate(self.requests):
            (folder / f"{number}.json").write_text(json.dumps(request), encoding="utf-8")


def make_case(task: str, seed: int, size: str | None, frames: int, most_words: int = 30) -> Case:
    """Return the case of a task and a seed. `size` names a shape.

    Without `size` the shape is random and small.
    """
    chance = random.Random(f"{seed} {task}")
    drawn, requests = (
        cases.random_shape(chance),
        cases.random_requests(task, chance, frames, most_words),
    )
    if size in (None, "tiny"):
        return Case(
            task, seed, TINY if size else drawn, cases.random_codec(seed), SpeakerShape(), requests
        )
    return Case(task, seed, SHAPES[size], RELEASED, RELEASED_SPEAKER, requests)


def traced(folder: Path, number: int) -> Tensors:
    """Return the tensors that `vivavoce trace` writes for a request."""
    out = folder / f"{number}.safetensors"
    if out.exists():
        return load_file(out)
    arguments = {
        "checkpoint": folder / "checkpoint",
        "request": folder / f"{number}.json",
        "out": out,
    }
    with redirect_stdout(io.StringIO()):
        app(
            ["trace", *(f"--{name}={value}" for name, value in arguments.items())],
            standalone_mode=False,
        )
    return load_file(out)


def differences(mine: Tensors, theirs: Tensors) -> dict[str, float]:
    """Return the largest difference of each tensor.

    For codes it is the number of differing ones. It is infinite if the shapes differ.
    """
    if not len(mine["trailing"]):  # the published code has one row then, of silence
        mine, theirs = (
            {k: v for k, v in tensors.items() if k != "trailing"} for tensors in (mine, theirs)
        )
    if (
        "ref_codes" in theirs
    ):  # a clone's sound is cut at a place computed in floating point, at times a sample early
        theirs = theirs | {"waveform": theirs["waveform"][-len(mine["waveform"]) :]}
    return {
        name: difference(name, mine.get(name), theirs.get(name))
        for name in sorted(mine.keys() | theirs.keys())
    }


def difference(name: str, mine: torch.Tensor | None, theirs: torch.Tensor | None) -> float:
    """Return the difference of two tensors of that name."""
    if mine is None or theirs is None or mine.shape != theirs.shape:
        return float("inf")
    if name in TOLERANCES:
        return float((mine - theirs).abs().max())
    return float((mine != theirs).sum())


def agree(found: dict[str, float]) -> bool:
    """True if `differences` are within the tolerances."""
    return all(value <= TOLERANCES.get(name, 0) for name, value in found.items())


def compare(case: Case, folder: Path) -> tuple[list[dict[str, float]], Tensors]:
    """Run both on one case.

    Return the differences of each request, and the oracle's tensors as `number.name`.
    """
    if not (folder / "checkpoint").exists():
        case.write(folder)
    run_oracle(Path(__file__).with_name("trace_oracle.py"), folder)
    found, answers = [], {}
    for number in range(len(case.requests)):
        theirs = load_file(folder / f"{number}.oracle.safetensors")
        found.append(differences(traced(folder, number), theirs))
        report(case, number, theirs, found[-1])
        answers |= {f"{number}.{name}": tensor for name, tensor in theirs.items()}
    return found, answers


def report(case: Case, number: int, theirs: Tensors, found: dict[str, float]) -> None:
    """Print one line of the table."""
    numbers = "  ".join(f"{name} {value:.1e}" for name, value in found.items())
    print(
        f"{case.task:12} {case.shape.size} seed {case.seed} #{number}: "
        f"{len(theirs['prompt']):3} positions, {len(theirs['codes'])} frames, "
        f"loudest {float(theirs['waveform'].abs().max()):.2f}  {numbers}  "
        f"{'ok' if agree(found) else 'DIFFERS'}",
        flush=True,
    )


def write_references(folder: Path, tensors: dict[str, Tensors], recipes: dict[str, Any]) -> None:
    """Write the oracle's answers and the recipes for the same checkpoints.

    The waveform is left out and logits are thinned.
    """
    kept = {}
    for task, found in tensors.items():
        for name, tensor in found.items():
            small = tensor[:, ::LOGIT_STRIDE] if name.endswith("logits") else tensor
            small = small.to(torch.int16) if not small.is_floating_point() else small
            if not name.endswith("waveform"):
                kept[f"{task}.{name}"] = small.contiguous()
    folder.mkdir(parents=True, exist_ok=True)
    save_file(kept, folder / "language_model.safetensors")
    (folder / "language_model.safetensors").chmod(0o644)  # the library writes for the owner alone
    text = json.dumps(
        {"logit_stride": LOGIT_STRIDE, "checkpoints": recipes}, indent=1, ensure_ascii=False
    )
    (folder / "language_model.json").write_text(text + "\n", encoding="utf-8")


def main() -> None:
    """Run the command line. It exits with 1 if anything differs."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--tasks", nargs="+", default=cases.TASKS, choices=cases.TASKS)
    parser.add_argument("--size", choices=SHAPES, help="this shape instead of random ones")
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument(
        "--folder",
        type=Path,
        help="keep all files here; what is here from before is not made again",
    )
    parser.add_argument(
        "--write", type=Path, metavar="FOLDER", help="keep tiny cases as the tests' references"
    )
    wanted = parser.parse_args()
    if wanted.size in (
        None,
        "tiny",
    ):  # with so little work, more threads only wait for each other
        torch.set_num_threads(1)
        os.environ["OMP_NUM_THREADS"] = "1"  # for the oracle's process
    all_found, tensors, recipes = [], {}, {}
    for seed in [0] if wanted.write else wanted.seeds:
        for task in wanted.tasks:
            size, words = ("tiny", 6) if wanted.write else (wanted.size, 30)
            case = make_case(task, seed, size, wanted.frames, words)
            with tempfile.TemporaryDirectory() as scratch:
                found, tensors[task] = compare(
                    case, (wanted.folder or Path(scratch)) / f"{task}-{seed}"
                )
            all_found += found
            shape = cases.as_json(case.shape)
            recipes[task] = {"task": task, "shape": shape, "seed": seed, "requests": case.requests}
    for name in sorted({name for found in all_found for name in found}):
        print(f"largest {name:18} {max(found.get(name, 0) for found in all_found):.1e}")
    good = all(map(agree, all_found))
    if wanted.write and good:
        write_references(wanted.write, tensors, recipes)
    sys.exit(not good)


if __name__ == "__main__":
    main()
