"""Define `vivavoce bench`, which measures the speed of a model without a server."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from vivavoce.cli.options import option
from vivavoce.cli.output import open_output
from vivavoce.errors import SettingsError

if TYPE_CHECKING:
    from vivavoce.models.qwen3_tts.tools.bench import BatchSpeed, Machine

bench = typer.Typer(
    name="bench", no_args_is_help=True, help="Measure the speed of a model on this machine."
)


@bench.callback()
def root() -> None:
    """Measure the speed of a model on this machine."""


@bench.command("qwen")
def qwen(
    checkpoint: Annotated[
        Path | None, option("Folder of a Qwen3-TTS checkpoint.", metavar="DIR")
    ] = None,
    random: Annotated[
        Literal["0.6b", "1.7b"] | None, option("Use random weights in a released shape instead.")
    ] = None,
    batch: Annotated[str, option("Numbers of concurrent streams.", metavar="N[,N]")] = "1,2,4,8",
    device: Annotated[str, option("Device, like cuda or cpu.")] = "auto",
    dtype: Annotated[
        Literal["auto", "float32", "bfloat16", "float16"], option("Number type of the weights.")
    ] = "auto",
    weights: Annotated[
        Literal["auto", "plain", "prepacked", "int8"], option("Weight form on a CPU.")
    ] = "auto",
    threads: Annotated[
        int | None, option("CPU threads.", default="the cores available", min=1)
    ] = None,
    frames: Annotated[int, option("Frames of each stream.", min=8, max=4096)] = 32,
    codec: Annotated[bool, option("Include decoding of the frames to audio.")] = True,
    json_file: Annotated[
        Path | None, option("Also write the results to this file.", "--json", metavar="FILE")
    ] = None,
) -> None:
    """Measure Qwen3-TTS: time per frame, speed, time to first audio.

    A frame is 80 ms of audio. The floor is the time to read the weights at
    this machine's memory bandwidth. The bandwidth is measured first, as the
    best of 20 runs over half a gibibyte. Random weights have no text
    embedding, and their streams never end. Times are medians. The codec
    decodes the first frame alone, and then 8 frames at a time.

    Examples:
      vivavoce bench qwen --random 0.6b
      vivavoce bench qwen --random 0.6b --weights int8 --batch 1,8 --no-codec
      vivavoce bench qwen --checkpoint DIR --device cuda --json bench.json
    """
    sizes = _sizes(batch)
    source = checkpoint or random
    if source is None or (checkpoint and random):
        problem = "bench qwen measures one thing: give either --checkpoint DIR or --random 0.6b"
        raise SettingsError(problem)
    from vivavoce.models.qwen3_tts.checkpoint.packages import require_packages

    require_packages()
    from vivavoce.models.qwen3_tts.tools.bench import measure, peak_memory, prepare

    speaking, machine = prepare(
        source, device=device, dtype=dtype, weights=weights, threads=threads, codec=codec
    )
    paces = [measure(speaking, machine, size, frames) for size in sizes]
    memory = peak_memory(machine.device)
    _print(f"Qwen3-TTS {source}: {speaking.stored}", machine, memory, paces)
    if json_file is not None:
        result = _as_json(str(source), speaking.stored, machine, memory, paces)
        with open_output(json_file) as file:
            file.write(result.encode())


def _sizes(batch: str) -> list[int]:
    """Return the numbers in `batch`. Raises `SettingsError` for an invalid one."""
    parts = [part.strip() for part in batch.split(",")]
    if not all(part.isdecimal() and 1 <= int(part) <= 256 for part in parts):
        raise SettingsError(
            f"--batch is {batch!r}, must be whole numbers from 1 to 256 with commas between them"
        )
    return [int(part) for part in parts]


def _print(title: str, machine: "Machine", memory: int, paces: "list[BatchSpeed]") -> None:
    from rich.console import Console
    from rich.table import Table

    typer.echo(title)
    table = Table()
    headings = "streams,frame ms,codec ms,frames/s,× real time,first audio ms,of the floor"
    for heading in headings.split(","):
        table.add_column(heading, justify="right")
    for pace in paces:
        table.add_row(
            f"{pace.batch}",
            f"{pace.frame_ms:.1f}",
            f"{pace.codec_ms:.1f}" if pace.codec_ms else "–",
            f"{pace.frames_per_s:.1f}",
            f"{pace.real_time:.2f}",
            f"{pace.first_audio_ms:.0f}",
            f"{pace.floor_share:.0%}",
        )
    Console().print(table)
    typer.echo(
        f"on {machine.device}: {machine.processor}, {machine.cores} cores, "
        f"{machine.threads} threads, memory read at {machine.read_gb_s:.1f} GB/s "
        f"(floor {paces[0].floor_ms:.1f} ms a frame), peak memory {memory / 1e9:.2f} GB"
    )


def _as_json(
    source: str, stored: str, machine: "Machine", memory: int, paces: "list[BatchSpeed]"
) -> str:
    derived = ("frames_per_s", "real_time", "floor_share")
    rows = [asdict(pace) | {name: getattr(pace, name) for name in derived} for pace in paces]
    result = {"source": source, "weights": stored, "machine": asdict(machine)}
    return json.dumps({**result, "peak_memory_bytes": memory, "paces": rows}, indent=2) + "\n"
