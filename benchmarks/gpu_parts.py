"""Measure one thing on a GPU, and print a line of JSON for each result: a part of
benchmarks/gpu.py.

    python -m benchmarks.gpu_parts bench --size 1.7b --weights int8 --batch 1,64
    python -m benchmarks.gpu_parts load --size 1.7b --rate 1,10 --seconds 8
    python -m benchmarks.gpu_parts profile --size 1.7b

Each part is a process of its own, so that one that hangs or fails takes no other with it.
"""

import argparse
import asyncio
import json
import math
import random
from collections.abc import Iterator
from typing import Any

TEXTS = (
    "The lamp is on the table, and the window is open to the garden.",
    "Good morning. Your train leaves from platform nine at a quarter past ten.",
    "I have looked it up for you: the shop on the corner closes at six today.",
)
FRAMES = (
    20,
    60,
)  # of an answer, drawn between these: 1.6 s to 4.8 s, as random weights end nothing themselves
PROFILED = 12  # frames
Row = dict[str, Any]  # JSON


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", choices=list(PARTS))
    parser.add_argument("--size", default="tiny", choices=["tiny", "0.6b", "1.7b"])
    parser.add_argument("--weights", default="auto", choices=["auto", "int8"])
    parser.add_argument("--batch", default="1", type=numbers)
    parser.add_argument("--frames", default=48, type=int)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--cache", help="folder for random weights")
    parser.add_argument("--rate", default="1", type=numbers)
    parser.add_argument("--seconds", default=8.0, type=float)
    given = parser.parse_args()
    for row in PARTS[given.part](given):
        print(json.dumps(row), flush=True)


def numbers(text: str) -> list[int]:
    """Parse whole numbers separated by commas."""
    return [int(part) for part in text.split(",")]


def threads(given: argparse.Namespace) -> int | None:
    """Return the number of CPU threads, or None for all cores.

    Tiny shapes get one thread, because more threads only wait for each other.
    """
    return 1 if given.size == "tiny" else None


def bench(given: argparse.Namespace) -> Iterator[Row]:
    """Yield the times of frame, codec and first audio, by batch size."""
    from vivavoce.models.qwen3_tts.tools.bench import measure, peak_memory, prepare

    options = {
        "device": given.device, "dtype": "auto", "weights": given.weights,
        "threads": threads(given), "codec": True,
    }  # fmt: skip
    speaking, machine = prepare(given.size, **options)
    for batch in given.batch:
        pace = measure(speaking, machine, batch, given.frames)
        yield {
            "size": given.size,
            "weights": speaking.stored,
            "device": device_name(machine.device),
            "streams": batch,
            "frame_ms": pace.frame_ms,
            "codec_ms": pace.codec_ms,
            "real_time": pace.real_time,
            "first_audio_ms": pace.first_audio_ms,
            "floor_share": pace.floor_share,
            "read_gb_s": machine.read_gb_s,
            "memory_gib": peak_memory(machine.device) / 2**30,
            "capture_s": pace.capture_s,
        }


def codec(given: argparse.Namespace) -> Iterator[Row]:
    """Yield the signal-to-noise ratio and the times of the codec, by precision."""
    import torch

    from vivavoce.models.qwen3_tts.checkpoint import random_weights as weights
    from vivavoce.models.qwen3_tts.codec import precision
    from vivavoce.models.qwen3_tts.runtime.device import choose_device
    from vivavoce.models.qwen3_tts.tools.bench import codec_ms

    torch.set_num_threads(threads(given) or torch.get_num_threads())
    device = choose_device(given.device)
    shape = weights.TINY_CODEC if given.size == "tiny" else weights.CODEC
    exact = None
    for name in ("float32", "tf32", "bfloat16"):
        decoder = weights.random_codec(device, config=shape, dtype=precision.codec_dtype(name))
        precision.set_precision(decoder, name)
        samples = precision.probe(decoder).cpu()
        exact = samples if exact is None else exact
        ratio_db = precision.signal_to_noise_db(exact, samples)
        yield {
            "precision": name,
            "snr_db": None if math.isinf(ratio_db) else ratio_db,
            **{f"codec_ms_{batch}": codec_ms(decoder, batch) for batch in given.batch},
        }


def device_name(device: str) -> str:
    """Return the device's own name."""
    import torch

    return torch.cuda.get_device_name(device) if device.startswith("cuda") else device


def load(given: argparse.Namespace) -> Iterator[Row]:
    """Measure first audio and underruns of a server with random weights, by request rate.

    The requests come at random moments.
    """
    yield from asyncio.run(_load(given))


async def _load(given: argparse.Namespace) -> list[Row]:
    from benchmarks.load import Question
    from benchmarks.process import started

    name, chance = f"random:{given.size}", random.Random(0)
    environment = {"VIVAVOCE_MODELS": "tone", "VIVAVOCE_QWEN_DEVICE": given.device}
    environment |= {"VIVAVOCE_CACHE_DIR": given.cache} if given.cache else {}
    environment |= {"VIVAVOCE_QWEN_MAX_BATCH": "64" if given.size != "tiny" else "4"}
    if (most := threads(given)) is not None:
        environment["VIVAVOCE_THREADS"] = str(most)
    environment |= {"VIVAVOCE_QWEN_GRAPHS": "startup", "VIVAVOCE_QWEN_WEIGHTS": given.weights}
    questions = [
        Question(chance.choice(TEXTS), name, "random", chance.randint(*FRAMES)) for _ in range(64)
    ]
    options = {"environment": environment, "arguments": ("--model", name)}
    async with started([name], memory_gib=10_000, **options) as server:
        assert server.start is not None, "it was started here"
        rows = [{"ready_s": server.start.ready_s}]
        for rate in given.rate:
            rows.append(await _rate(server.address, questions, rate, given.seconds))
            print(json.dumps(rows[-1]), flush=True)
    return rows[:1]


async def _rate(address: Any, questions: list[Any], rate: int, seconds: float) -> Row:
    from benchmarks.load import strangers
    from benchmarks.player import percentile, play

    options = {"rate": rate, "duration_s": seconds, "at_most": 10_000}
    run = await strangers(address, questions, **options, tell=lambda _: None)
    good = [answer for answer in run.answers if answer.good]
    first = [
        1000 * (answer.first_audible_s - answer.asked_s)
        for answer in good
        if answer.first_audible_s > 0
    ]
    plays = [play(answer.arrivals, answer.ended_s, start_buffer_s=0.0) for answer in good]
    return {
        "rate": rate,
        "answers": len(run.answers),
        "good": len(good),
        "first_audible_p50_ms": _number(percentile(first, 50)),
        "first_audible_p95_ms": _number(percentile(first, 95)),
        "with_underruns": sum(bool(play.gaps_s) for play in plays),
        "audio_s_per_s": math.fsum(answer.audio_s for answer in good) / run.wall_s,
    }


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value


def profile(given: argparse.Namespace) -> Iterator[Row]:
    """Yield the 20 slowest kernels of one stream's frames, and the GPU's idle share."""
    from torch.profiler import ProfilerActivity, profile

    from vivavoce.models.qwen3_tts.tools.bench import frames_of_one, prepare

    options = {
        "device": given.device, "dtype": "auto", "weights": given.weights,
        "threads": threads(given), "codec": False,
    }  # fmt: skip
    speaking, machine = prepare(given.size, **options)
    step = frames_of_one(speaking, PROFILED + 3)
    for _ in range(3):
        step()
    on_cuda = machine.device.startswith("cuda")
    kinds = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_cuda else [])]
    with profile(activities=kinds) as seen:
        wall_ms = math.fsum(step() for _ in range(PROFILED))
    events = seen.key_averages()
    taken = {
        event.key: (event.self_device_time_total if on_cuda else event.self_cpu_time_total)
        for event in events
    }
    for event in sorted(events, key=lambda event: -taken[event.key])[:20]:
        yield {
            "kernel": event.key[:80],
            "calls": event.count / PROFILED,
            "us_a_frame": taken[event.key] / PROFILED,
        }
    busy = math.fsum(taken.values()) / 1000 / wall_ms
    yield {
        "kernel": "none: gaps",
        "calls": None,
        "us_a_frame": 1000 * wall_ms / PROFILED * max(0.0, 1 - busy),
    }


PARTS = {"bench": bench, "codec": codec, "load": load, "profile": profile}

if __name__ == "__main__":
    main()
