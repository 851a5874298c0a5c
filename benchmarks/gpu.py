"""Test and measure Qwen3-TTS on this machine's GPU within nine minutes. See docs/gpu.md.

    python benchmarks/gpu.py                  everything, the most important first
    python benchmarks/gpu.py --only bench
    python benchmarks/gpu.py --dry-run        the same on a CPU with tiny shapes, to find mistakes
    python benchmarks/gpu.py --wheels DIR     download the packages that the machine lacks

It needs Python 3.12 with torch for CUDA, triton, tokenizers, safetensors, httpx, typer, rich,
pytest and the source folder. The other packages for HTTP come from DIR, where `--wheels` put them.

- No step uses the network.
- Each step has its time limit.
- Results are written as they come, so an interrupted run keeps its results.
"""

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, distribution, requires
from importlib.util import find_spec
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
THERE = {"torch", "triton", "tokenizers", "safetensors", "httpx"}
THERE |= {"typer", "rich", "pytest", "numpy"}
LEFT_OUT = {"hibari-tts"}  # another voice
MOST_MB = 60  # that may have to be carried
SERVED = ("av", "fastapi", "pydantic_settings", "sentencex", "soxr", "uvicorn")  # by a server
Row = dict[str, Any]  # JSON


@dataclass
class Kit:
    """A run: its output file, its results so far, and the sizes to measure."""

    out: Path
    dry: bool
    packages: Path | None  # brought along
    scratch: Path
    results: dict[str, list[Row]] = field(default_factory=dict)

    @property
    def device(self) -> str:
        return "cpu" if self.dry else "cuda"

    @property
    def size(self) -> str:
        return "tiny" if self.dry else "1.7b"

    def note(self, step: str, row: Row) -> None:
        """Add a result, print it, and write all results."""
        self.results.setdefault(step, []).append(row)
        print("  " + ", ".join(f"{name} {shown(value)}" for name, value in row.items()), flush=True)
        (self.out / "gpu.json").write_text(json.dumps(self.results, indent=2), encoding="utf-8")
        (self.out / "gpu.md").write_text(markdown(self.results), encoding="utf-8")

    def run(self, step: str, *command: str, until_s: float) -> None:
        """Run Python with `command` and record its JSON lines. Kill it at `until_s`."""
        for line in lines([sys.executable, *command], self.environment(), until_s):
            if line.startswith("{"):
                self.note(step, json.loads(line))
            else:
                print("  | " + line, flush=True)

    def part(self, name: str, size: str, *options: str, until_s: float) -> None:
        """Run a part of `gpu_parts` as the step of its name."""
        shared = ("--size", size, "--device", self.device)
        self.run(name, "-m", "benchmarks.gpu_parts", name, *shared, *options, until_s=until_s)

    def environment(self) -> Mapping[str, str]:
        paths = [ROOT, ROOT / "src", *([self.packages] if self.packages else [])]
        known = os.environ.get("PYTHONPATH")
        return {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([*map(str, paths), *([known] if known else [])]),
        }


class Cut(Exception):
    """A step that had to be killed, or failed."""


def lines(command: Sequence[str], environment: Mapping[str, str], until_s: float) -> Iterator[str]:
    """Yield the output lines of `command`.

    Raises `Cut` if it fails or still runs at `until_s`.
    """
    options = {
        "stdout": subprocess.PIPE,
        "stderr": subprocess.STDOUT,
        "text": True,
        "start_new_session": True,
    }
    with subprocess.Popen(command, cwd=ROOT, env=dict(environment), **options) as process:
        cut = threading.Event()

        def kill() -> None:
            cut.set()
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

        timer = threading.Timer(max(0.0, until_s - time.monotonic()), kill)
        timer.start()
        try:
            assert process.stdout is not None, "it is a pipe"
            for line in process.stdout:
                yield line.rstrip()
        finally:
            timer.cancel()
            kill() if process.poll() is None and sys.exc_info()[0] else None
    if cut.is_set():
        raise Cut("cut off at its time limit")
    if process.returncode:
        raise Cut(f"failed with exit code {process.returncode}")


def tests(kit: Kit, until_s: float) -> None:
    """Run the tests that need a GPU: compiled kernels, CUDA graphs, the same codes as a CPU."""
    started_s = time.monotonic()
    files = ["tests/models/qwen3_tts/test_kernels.py", "tests/models/qwen3_tts/test_cuda.py"]
    chosen = ["-m", "gpu", *files] if not kit.dry else ["-m", "not gpu", "-k", "norm", files[0]]
    # Without the project's settings, whose plugins a bare machine lacks.
    bare = ["-c", os.devnull, "--rootdir", str(ROOT), "--noconftest", "-p", "no:cacheprovider"]
    bare += ["--import-mode=importlib"]
    with contextlib.ExitStack() as stack:
        stack.callback(
            lambda: kit.note("tests", {"passed": passed, "seconds": time.monotonic() - started_s})
        )
        passed = False
        environment = {**kit.environment(), **({"TRITON_INTERPRET": "1"} if kit.dry else {})}
        for line in lines(
            [sys.executable, "-m", "pytest", "-q", "-x", *bare, *chosen], environment, until_s
        ):
            print("  | " + line, flush=True)
        passed = True


def bench(kit: Kit, until_s: float) -> None:
    """Measure frames by batch size: one stream and 64 first, then the sizes between them."""
    sizes = ("tiny",) if kit.dry else ("1.7b", "0.6b")
    batches = ("1,2",) if kit.dry else ("1,64", "2,4,8,16,32")
    for batch in batches:
        for size in sizes:
            for weights in ("auto", "int8"):
                options = ["--weights", weights, "--batch", batch]
                options += ["--frames", "9" if kit.dry else "48"]
                kit.part("bench", size, *options, until_s=until_s)


def codec(kit: Kit, until_s: float) -> None:
    """Measure the codec's noise and time, by precision."""
    kit.part("codec", kit.size, "--batch", "1,2" if kit.dry else "1,64", until_s=until_s)


def load(kit: Kit, until_s: float) -> None:
    """Measure first audio over HTTP, by request rate."""
    if lacking := [name for name in SERVED if not importable(name, kit)]:
        raise Cut(f"nothing to serve with: {', '.join(lacking)} are missing (see --wheels)")
    rate, seconds = ("2", "2") if kit.dry else ("1,4,10,20", "12")
    plan = ["--cache", str(kit.scratch), "--rate", rate, "--seconds", seconds]
    kit.part("load", kit.size, *plan, until_s=until_s)


def peers(kit: Kit, until_s: float) -> None:
    """Measure the other engines on the same card, where they are installed."""
    present = {"faster": "faster_qwen3_tts", "published": "qwen_tts"}
    found = [name for name, module in present.items() if importable(module, kit)]
    if not found:
        raise Cut(f"none of {', '.join(present.values())} is installed")
    folder = random_checkpoint(kit.size, kit.scratch)
    for name in ("ours", *found):
        options = ["--device", kit.device, "--dtype", "float32" if kit.dry else "bfloat16"]
        command = [sys.executable, "benchmarks/qwen_peer.py", name, str(folder), *options]
        command += ["--threads", "4"]
        asked = (
            f"import subprocess; subprocess.run({command!r}, "
            "input='50\\n50\\n50\\n', text=True, check=True)"
        )
        kit.run("peers", "-c", asked, until_s=until_s)


def profile(kit: Kit, until_s: float) -> None:
    """Report the slowest kernels of a frame."""
    kit.part("profile", kit.size, until_s=until_s)


Step = Callable[[Kit, float], None]
STEPS: Mapping[
    str, tuple[Step, float]
] = {  # in order of worth, with the seconds that each may take
    "tests": (tests, 110),
    "bench": (bench, 190),
    "codec": (codec, 20),
    "load": (load, 120),
    "peers": (peers, 60),
    "profile": (profile, 40),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--only", choices=list(STEPS), action="append", help="run this step; may be given again"
    )
    parser.add_argument(
        "--skip", choices=list(STEPS), action="append", default=[], help="leave this step out"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("gpu-results"), help="folder of gpu.json and gpu.md"
    )
    parser.add_argument("--dry-run", action="store_true", help="on the CPU, with tiny shapes")
    parser.add_argument(
        "--wheels",
        type=Path,
        help="folder of wheels that the machine lacks; it is filled if it is not there",
    )
    parser.add_argument("--python", default="3.12", help="Python of the machine, for --wheels")
    given = parser.parse_args()
    if given.wheels is not None and not given.wheels.is_dir():
        sys.exit(fetch(given.wheels, given.python))
    given.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        packages = unpacked(given.wheels, Path(scratch, "packages")) if given.wheels else None
        kit = Kit(given.out, given.dry_run, packages, Path(scratch))
        wanted = [
            name for name in STEPS if name in (given.only or STEPS) and name not in given.skip
        ]
        failed = [name for name in wanted if not attempt(kit, name)]
    print(f"written to {given.out / 'gpu.json'} and {given.out / 'gpu.md'}")
    sys.exit(1 if "tests" in failed or (given.dry_run and set(failed) - {"peers"}) else 0)


def attempt(kit: Kit, name: str) -> bool:
    """True if the step ran to its end. The reason for a failure is noted beside its results."""
    step, limit_s = STEPS[name]
    print(f"{name}: at most {limit_s:.0f} s", flush=True)
    started_s = time.monotonic()
    try:
        step(kit, started_s + limit_s * (3 if kit.dry else 1))
    except Cut as reason:
        kit.note(name, {"ended": str(reason)})
        return False
    finally:
        print(f"{name}: {time.monotonic() - started_s:.0f} s", flush=True)
    return True


def random_checkpoint(size: str, scratch: Path) -> Path:
    """Return a CustomVoice checkpoint with random weights, made once."""
    sys.path[:0] = [str(ROOT), str(ROOT / "src")]
    from scripts.make_checkpoint import SHAPES
    from tests.models.qwen3_tts.codec_checkpoints import RELEASED, RELEASED_SPEAKER
    from tests.models.qwen3_tts.whole import whole_checkpoint, write_whole

    folder = scratch / f"random-{size}"
    if folder.exists():
        return folder
    if size == "tiny":
        folder.mkdir()
        return whole_checkpoint(folder)
    return write_whole(folder, "custom_voice", SHAPES[size], RELEASED, RELEASED_SPEAKER, seed=0)


def importable(module: str, kit: Kit) -> bool:
    """True if `module` is installed, or was brought here with `--wheels`."""
    return find_spec(module) is not None or bool(kit.packages and (kit.packages / module).exists())


def fetch(folder: Path, python: str) -> int:
    """Download into `folder` the wheels that a bare machine lacks. Return an exit code."""
    needed = sorted({*missing("vivavoce", python), "hypothesis", "sortedcontainers"})
    print("to be carried:", ", ".join(needed))
    machine = os.uname().machine
    systems = [f"manylinux_2_{minor}_{machine}" for minor in range(28, 4, -1)]
    systems += [f"manylinux{year}_{machine}" for year in ("2014", "2010", "1")]
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "-d", str(folder)]
    pip += ["--only-binary", ":all:", "--python-version", python]
    platforms = [option for system in systems for option in ("--platform", system)]
    subprocess.run([*pip, *platforms, *pinned(needed)], check=True)
    sizes = {wheel: wheel.stat().st_size / 1e6 for wheel in sorted(folder.glob("*.whl"))}
    for wheel, megabytes in sizes.items():
        print(f"{megabytes:6.1f} MB  {wheel.name}")
    whole = sum(sizes.values())
    print(f"{whole:6.1f} MB  in {folder}, at most {MOST_MB}; run with --wheels {folder} there")
    return 0 if whole <= MOST_MB else 1


def unpacked(wheels: Path, folder: Path) -> Path:
    """Unpack the `wheels` into `folder`, which then is a path of packages. Return it."""
    for wheel in wheels.glob("*.whl"):
        shutil.unpack_archive(wheel, folder, "zip")
    for library in [*folder.glob("*.data/purelib"), *folder.glob("*.data/platlib")]:
        shutil.copytree(library, folder, dirs_exist_ok=True)
    return folder


def missing(name: str, python: str) -> set[str]:
    """Return the packages that `name` requires, recursively, without those of a bare machine."""
    from packaging.requirements import Requirement

    found: set[str] = set()
    there = {"extra": "", "python_version": python, "python_full_version": f"{python}.0"}
    for text in requires(name) or []:
        requirement = Requirement(text)
        wanted = requirement.name.lower().replace("_", "-")
        if wanted in THERE | LEFT_OUT | found or (
            requirement.marker and not requirement.marker.evaluate(there)
        ):
            continue
        found |= {wanted, *missing(wanted, python)}
    return found


def pinned(names: Sequence[str]) -> Iterator[str]:
    """Yield `names` pinned to the versions installed here."""
    for name in names:
        try:
            yield f"{name}=={distribution(name).version}"
        except PackageNotFoundError:
            yield name


def markdown(results: Mapping[str, Sequence[Row]]) -> str:
    """Return all results as tables."""
    parts = []
    for step, rows in results.items():
        columns = list(dict.fromkeys(name for row in rows for name in row))
        table = [
            columns,
            ["---"] * len(columns),
            *([shown(row.get(name)) for name in columns] for row in rows),
        ]
        parts.append(f"## {step}\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in table))
    return "\n\n".join(parts) + "\n"


def shown(value: object) -> str:
    """Return a short form of a value."""
    if value is None:
        return ""
    return f"{value:.3g}" if isinstance(value, float) else str(value).replace("|", "/")


if __name__ == "__main__":
    main()
