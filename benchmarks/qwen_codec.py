"""Measure the Qwen3-TTS codec on this CPU: milliseconds per frame by chunk and batch.

Plain and packed weights are compared.

    python benchmarks/qwen_codec.py [--checkpoint FOLDER] [--rounds 5] [--sizes 1x1 8x8] [--profile]

FOLDER is a checkpoint's `speech_tokenizer`. Without it a random one of the released shape is made.
Both forms take turns at each size, so that they meet the machine in the same state. A size is
frames x streams. It knows no talker.
"""

import argparse
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import torch
from rich.console import Console
from rich.table import Table
from torch.profiler import profile

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.models.qwen3_tts.codec_checkpoints import CodecShape, write_codec

from vivavoce.models.qwen3_tts.codec import CodecDecoder, load_decoder
from vivavoce.models.qwen3_tts.codec.products import can_pack

RELEASED = CodecShape(
    latent=1024,
    codebook_dim=512,
    entries=2048,
    decoder_dim=1536,
    hidden=512,
    intermediate=1024,
    heads=16,
    kv_heads=16,
    head_dim=64,
    layers=8,
)
SIZES = ("1x1", "2x1", "4x1", "8x1", "1x4", "4x4", "8x4", "1x8", "4x8", "8x8")
CPU = torch.device("cpu")
MACS_PER_FRAME = 2.45e9  # at the released shape
WEIGHT_BYTES = 424e6  # read by every step, whatever its frames: all but the codebooks
OPERATORS = 12  # shown of a profile


def main() -> None:
    options = _options()
    console = Console()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.checkpoint or write_codec(Path(scratch), RELEASED)
        forms = {"plain": load_decoder(folder, CPU, torch.float32, packed=False)}
        if can_pack(CPU, torch.float32):
            forms["packed"] = load_decoder(folder, CPU, torch.float32, packed=True)
    console.print(
        f"{platform.machine()}, torch {torch.__version__}, {torch.get_num_threads()} threads"
    )
    console.print(_floor())
    sizes = [
        (int(frames), int(streams))
        for frames, streams in (size.split("x") for size in options.sizes)
    ]
    console.print(_measured(forms, sizes, options.rounds))
    if options.profile:
        for name, decoder in forms.items():
            for frames, streams in sizes:
                console.print(
                    _profiled(
                        f"{name}, {frames} frames of {streams} streams", decoder, frames, streams
                    )
                )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--checkpoint", type=Path, help="a speech_tokenizer folder")
    parser.add_argument("--rounds", type=int, default=5, help="medians are over so many steps")
    parser.add_argument("--sizes", nargs="+", default=SIZES, help="frames x streams, like 8x1")
    parser.add_argument(
        "--profile", action="store_true", help="also show where the time goes, by operator"
    )
    return parser.parse_args()


def _measured(
    forms: dict[str, CodecDecoder], sizes: Sequence[tuple[int, int]], rounds: int
) -> Table:
    """Return the median milliseconds per frame of each form. The forms take turns."""
    table = Table("frames a step", "streams", *(f"{name}, ms a frame" for name in forms))
    for frames, streams in sizes:
        steps = {name: _step(decoder, frames, streams) for name, decoder in forms.items()}
        times: dict[str, list[float]] = {name: [] for name in forms}
        for turn in range(rounds + 1):
            for name, step in steps.items():
                took = _seconds(step)
                if turn:  # the first one warms up
                    times[name].append(took)
        shown = [f"{1000 * median(took) / frames / streams:.1f}" for took in times.values()]
        table.add_row(str(frames), str(streams), *shown)
    return table


def _step(decoder: CodecDecoder, frames: int, streams: int) -> Callable[[], object]:
    random = torch.Generator().manual_seed(0)
    codes = torch.randint(
        0,
        decoder.config.codebook_size,
        (streams, decoder.config.num_quantizers, frames),
        generator=random,
    )
    states = [decoder.open() for _ in range(streams)]
    return lambda: decoder.step(codes, states)


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _floor() -> str:
    """Return the best possible figures of this machine.

    All weights are read once, and all products run at the speed of a large one.
    """
    square, vector = torch.randn(2048, 2048), torch.randn(20_000)
    tall = torch.randn(5_000, 20_000)
    flops = 2 * 2048**3 / median(_seconds(lambda: square @ square) for _ in range(7))
    bandwidth = tall.nbytes / median(_seconds(lambda: torch.mv(tall, vector)) for _ in range(7))
    compute_ms, read_ms = 2000 * MACS_PER_FRAME / flops, 1000 * WEIGHT_BYTES / bandwidth
    return (
        f"products {flops / 1e9:.0f} GFLOP/s, memory {bandwidth / 1e9:.1f} GB/s: "
        f"{compute_ms:.1f} ms of products a frame, {read_ms:.1f} ms of reading weights a step"
    )


def _profiled(
    title: str, decoder: CodecDecoder, frames: int, streams: int, steps: int = 3
) -> Table:
    step = _step(decoder, frames, streams)
    step()
    with profile() as recorded:
        for _ in range(steps):
            step()
    operators = sorted(recorded.key_averages(), key=lambda event: -event.self_cpu_time_total)
    table = Table("operator", "calls a step", "ms a frame", title=title)
    for event in operators[:OPERATORS]:
        per_frame_ms = event.self_cpu_time_total / 1000 / steps / frames / streams
        table.add_row(event.key, f"{event.count / steps:.0f}", f"{per_frame_ms:.2f}")
    return table


if __name__ == "__main__":
    main()
