r"""Compare the speed of Qwen3-TTS's language model with its peers. See docs/performance.md.

    python benchmarks/qwen_vs_peers.py                  the 0.6B shape on the CPU, random weights
    python benchmarks/qwen_vs_peers.py --frames 20 --rounds 5 --json peers.json --pause
    python benchmarks/qwen_vs_peers.py --checkpoint DIR --device cuda --faster-python PYTHON

- All contenders get the same request in the same run, and take turns.
- Each is a process of its own, loaded before the first round and idle while another speaks.
- In a round each makes the same number of frames. The result is the median over the rounds.

`qwen-tts` 0.1.1 runs in the environment of `make parity`, which is built on first use
(`QWEN_ORACLE` names another). `faster-qwen3-tts` 0.5.4, for CUDA, runs in the environment of the
interpreter that --faster-python names. The GGML engine qwentts.cpp, for CPUs, runs where
--ggml-python names an interpreter that has its wheel, `realtimetts-qwen-native-cpu` 0.4.2:

    python benchmarks/qwen_vs_peers.py --ggml-python PYTHON --ggml-codec CODEC.gguf \
        --ggml TALKER-Q8_0.gguf --ggml TALKER-BF16.gguf

The files are made by its own converter, in a copy SOURCE of github.com/ServeurpersoCom/qwentts.cpp,
with an interpreter that has torch, safetensors and gguf. Its `quantize` is built there, or from
tools/quantize.cpp alone with the `libggml-base` of the wheel. Random weights do:

    python scripts/make_checkpoint.py --size 0.6b --out checkpoints/Qwen3-TTS-12Hz-0.6B-CustomVoice
    python -c "from tests.models.qwen3_tts.codec_checkpoints import *; \
        write_codec(Path('checkpoints/Qwen3-TTS-Tokenizer-12Hz'), RELEASED)"
    python SOURCE/convert.py                                             # writes models/*-F32.gguf
    quantize models/qwen-talker-0.6b-customvoice-F32.gguf TALKER-Q8_0.gguf Q8_0
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Annotated, Literal

if not __package__:  # run as a file: the scripts are found from the folder above
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import typer
from rich.console import Console
from rich.table import Column, Table
from scripts.make_checkpoint import SHAPES, make_checkpoint
from scripts.parity.oracle import oracle_environment, oracle_python

from vivavoce.models.hardware import available_cores

PEER = Path(__file__).with_name("qwen_peer.py")
GGML_PEER = Path(__file__).with_name("qwen_ggml_peer.py")
FRAME_S = 0.08


@dataclass(frozen=True, slots=True)
class Contender:
    """One implementation with its number type and weight format.

    The weights of "ggml" are a file.
    """

    kind: Literal["ours", "published", "faster", "ggml"]
    dtype: str
    weights: str = "auto"

    def __str__(self) -> str:
        names = {
            "ours": "vivavoce",
            "published": "qwen-tts 0.1.1",
            "faster": "faster-qwen3-tts 0.5.4",
            "ggml": "qwentts.cpp",
        }
        if self.kind == "ggml":
            return f"{names[self.kind]}, {Path(self.weights).stem}"
        form = self.dtype if self.weights in ("auto", "prepacked") else self.weights
        return f"{names[self.kind]}, {form}"


CPU = (
    Contender("published", "float32"),
    Contender("ours", "float32"),
    Contender("published", "bfloat16"),
    Contender("ours", "bfloat16"),
    Contender("ours", "float32", "int8"),
)
CUDA = (Contender("published", "bfloat16"), Contender("ours", "bfloat16"))
FASTER = Contender("faster", "bfloat16")


@dataclass(frozen=True, slots=True)
class Setup:
    """The settings that all contenders share."""

    folder: Path
    device: str
    threads: int
    faster_python: Path | None
    ggml_python: Path | None
    ggml_codec: Path | None


@contextmanager
def running(contender: Contender, setup: Setup) -> Iterator["subprocess.Popen[str]"]:
    """Start the contender's process, loaded and waiting for rounds."""
    command = [*_command(contender, setup), "--threads", str(setup.threads)]
    environment = oracle_environment() if contender.kind == "published" else None
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            _answer(process)
            yield process
        finally:
            process.terminate()


def _command(contender: Contender, setup: Setup) -> list[str]:
    if contender.kind == "ggml":
        return [str(setup.ggml_python), str(GGML_PEER), contender.weights, str(setup.ggml_codec)]
    pythons = {"published": oracle_python, "faster": lambda: setup.faster_python}
    python = pythons.get(contender.kind, lambda: sys.executable)()
    options = ["--device", setup.device, "--dtype", contender.dtype, "--weights", contender.weights]
    return [str(python), str(PEER), contender.kind, str(setup.folder), *options]


def ask(process: "subprocess.Popen[str]", frames: int) -> float:
    """Return the milliseconds per frame of a round."""
    assert process.stdin is not None, "it was opened with a pipe"
    process.stdin.write(f"{frames}\n")
    process.stdin.flush()
    answer = _answer(process)
    return 1000 * answer["seconds"] / answer["frames"]


def _answer(process: "subprocess.Popen[str]") -> dict[str, float]:
    assert process.stdout is not None, "it was opened with a pipe"
    line = process.stdout.readline()
    if not line:
        raise SystemExit(f"a contender ended before its answer: {process.args!r}")
    answer: dict[str, float] = json.loads(line)
    return answer


def compare(
    contenders: Sequence[Contender],
    setup: Setup,
    frames: int,
    rounds: int,
    ready: Callable[[], object],
) -> dict[Contender, list[float]]:
    """Measure milliseconds per frame of every contender and round. The contenders take turns.

    `ready` is called once all are loaded.
    """
    with ExitStack() as stack:
        processes = {
            contender: stack.enter_context(running(contender, setup)) for contender in contenders
        }
        taken: dict[Contender, list[float]] = {contender: [] for contender in contenders}
        ready()
        for _ in range(rounds):
            for contender, process in processes.items():
                taken[contender].append(ask(process, frames))
        return taken


def wait() -> None:
    """Wait for the user, who can stop other work on the machine."""
    print("all are loaded: press Enter when the machine has nothing else to do", flush=True)
    sys.stdin.readline()


def show(taken: dict[Contender, list[float]]) -> None:
    """Print a table of each contender's speed.

    The speed is also compared with the published package in the same number type.
    """
    table = Table(
        Column("contender", overflow="fold"),  # names of files differ at their ends
        "ms a frame, median",
        "least to most",
        "× real time",
        "× qwen-tts, same numbers",
    )
    stock = {
        contender.dtype: median(times)
        for contender, times in taken.items()
        if contender.kind == "published"
    }
    for contender, times in taken.items():
        middle = median(times)
        table.add_row(
            str(contender),
            f"{middle:.0f}",
            f"{min(times):.0f} to {max(times):.0f}",
            f"{1000 * FRAME_S / middle:.2f}",
            f"{stock[contender.dtype] / middle:.2f}" if contender.dtype in stock else "–",
        )
    Console().print(table)


def main(
    checkpoint: Annotated[
        Path | None, typer.Option(help="A CustomVoice checkpoint; random weights without.")
    ] = None,
    size: Annotated[
        Literal["tiny", "0.6b", "1.7b"], typer.Option(help="Shape of the random weights.")
    ] = "0.6b",
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    faster_python: Annotated[
        Path | None, typer.Option(help="Interpreter that has faster-qwen3-tts 0.5.4.")
    ] = None,
    ggml_python: Annotated[
        Path | None, typer.Option(help="Interpreter that has the wheel of qwentts.cpp.")
    ] = None,
    ggml_codec: Annotated[Path | None, typer.Option(help="Its codec, a GGUF file.")] = None,
    ggml: Annotated[
        list[Path] | None, typer.Option(help="Its talker, a GGUF file. Can be repeated.")
    ] = None,
    published: Annotated[bool, typer.Option(help="Include qwen-tts 0.1.1.")] = True,
    frames: Annotated[int, typer.Option(min=4, help="Frames a round.")] = 12,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds.")] = 3,
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads.", show_default="the cores")
    ] = None,
    pause: Annotated[bool, typer.Option(help="Wait for Enter once all are loaded.")] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Also write every number to this file.")
    ] = None,
) -> None:
    """Compare the speed of Qwen3-TTS's language model with that of its peers."""
    if ggml and not (ggml_python and ggml_codec):
        raise typer.BadParameter("--ggml needs --ggml-python and --ggml-codec")
    contenders = [
        *(CPU if device == "cpu" else CUDA),
        *([FASTER] if faster_python else []),
        *(Contender("ggml", "ggml", str(file.resolve())) for file in ggml or ()),
    ]
    contenders = [each for each in contenders if published or each.kind != "published"]
    with TemporaryDirectory() as scratch:
        folder = checkpoint or make_checkpoint(Path(scratch), "custom_voice", SHAPES[size])
        cores = threads or available_cores()
        setup = Setup(folder.resolve(), device, cores, faster_python, ggml_python, ggml_codec)
        taken = compare(contenders, setup, frames, rounds, wait if pause else lambda: None)
    show(taken)
    if json_file is not None:
        json_file.write_text(
            json.dumps({str(who): times for who, times in taken.items()}, indent=2), "utf-8"
        )


if __name__ == "__main__":
    typer.run(main)
