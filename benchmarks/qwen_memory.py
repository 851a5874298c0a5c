"""Measure the load time and the memory of a Qwen3-TTS checkpoint. See docs/qwen.md.

    python benchmarks/qwen_memory.py ./Qwen3-TTS-12Hz-0.6B-CustomVoice
    python benchmarks/qwen_memory.py --random 0.6b --dtype float32 --max-batch 1 --max-batch 8
    python benchmarks/qwen_memory.py --random 0.6b --server --cold --weights int8

Each measurement is a process of its own. On Linux memory is what the kernel counts. It is split
into the process's own (anonymous) memory and pages of the checkpoint's files, which belong to the
page cache and can be reclaimed. On CUDA, torch's count on the device is added. It does not measure
speed.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

if not __package__:  # run as a file: its siblings are found from the folder above
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import typer

from benchmarks.load import Question
from benchmarks.process import started
from benchmarks.wire import send
from vivavoce.errors import NotReady
from vivavoce.serving.base import Model
from vivavoce.types import Segment

TEXT = "The lamp is on the table, and the window is open to the garden."
SAMPLE_S = 0.01
MEMORY_GIB = 20.0  # that the server may use
MIB = 2**20

Device = Annotated[str, typer.Option(help="As in the setting qwen_device.")]
app = typer.Typer(add_completion=False)


@dataclass(frozen=True, slots=True)
class Memory:
    """The memory of a process in MiB: its own, and pages of mapped files."""

    own: float = 0.0
    files: float = 0.0

    @classmethod
    def of(cls, process: int | str = "self") -> "Memory":
        """Return the memory of `process` now, or zeros without /proc or such a process."""
        try:
            lines = Path(f"/proc/{process}/status").read_text().splitlines()
        except (FileNotFoundError, ProcessLookupError):
            return cls()
        kib = {
            name: int(value.split()[0])
            for name, _, value in (line.partition(":") for line in lines)
            if "Rss" in name
        }
        return cls(kib.get("RssAnon", 0) / 1024, kib.get("RssFile", 0) / 1024)


@dataclass(frozen=True, slots=True)
class Loaded:
    """One checkpoint after loading and speaking.

    Memory is in MiB, without the share of Python and torch before.
    """

    dtype: str
    max_batch: int
    load_s: float
    peak: float  # own memory while loading
    peak_files: float
    loaded: float  # own memory afterwards
    speaking: float  # own memory while every slot speaks
    cuda_peak: float = 0.0  # on the device, while loading
    cuda_loaded: float = 0.0
    cuda_speaking: float = 0.0


@contextmanager
def watched(seen: list[Memory]) -> Iterator[None]:
    """Record this process's memory in `seen` while the block runs."""
    done = threading.Event()

    def watch() -> None:
        while not done.wait(SAMPLE_S):
            seen.append(Memory.of())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        seen.append(Memory.of())


def measure(
    folder: Path, dtype: str, max_batch: int, device: str, after: Path | None = None
) -> Loaded:
    """Load the checkpoint in a fresh process and speak with all slots.

    If the checkpoint `after` speaks first, memory that the libraries allocate on first use is left
    out.
    """
    import torch

    from vivavoce.models.qwen3_tts import QwenOptions
    from vivavoce.models.qwen3_tts.runtime.model import QwenModel

    if after is not None:
        speak(QwenModel(after, QwenOptions(dtype=dtype, max_batch=max_batch, device=device)))
    before, seen = Memory.of(), list[Memory]()
    with watched(seen):
        start_s = time.perf_counter()
        model = QwenModel(folder, QwenOptions(dtype=dtype, max_batch=max_batch, device=device))
        load_s = time.perf_counter() - start_s
    cuda = torch.cuda.is_available()
    result = Loaded(
        dtype,
        max_batch,
        load_s,
        peak=max(memory.own for memory in seen) - before.own,
        peak_files=max(memory.files for memory in seen) - before.files,
        loaded=Memory.of().own - before.own,
        speaking=0.0,
        cuda_peak=torch.cuda.max_memory_allocated() / MIB if cuda else 0.0,
        cuda_loaded=torch.cuda.memory_allocated() / MIB if cuda else 0.0,
    )
    speak(model)
    speaking = Memory.of().own - before.own
    return replace(
        result,
        speaking=speaking,
        cuda_speaking=torch.cuda.memory_allocated() / MIB if cuda else 0.0,
    )


def speak(model: Model) -> None:
    """Run three steps with all slots."""
    voice = model.info.voices[0].id
    streams = [
        model.open(Segment(TEXT, voice, "en", "Calm.", seed)) for seed in range(model.max_batch)
    ]
    for _ in range(3):
        model.step(streams, [0.0] * len(streams))


def measure_apart(
    folder: Path, dtype: str, max_batch: int, device: str, after: Path | None = None
) -> Loaded:
    """Run `measure` in a process of its own and return its result."""
    command = [
        sys.executable, __file__, str(folder), "--dtype", dtype, "--max-batch", str(max_batch),
    ]  # fmt: skip
    first = [] if after is None else ["--after", str(after)]
    done = subprocess.run(
        [*command, "--device", device, *first, "--inside"], stdout=subprocess.PIPE, check=True
    )
    return Loaded(**json.loads(done.stdout))


async def start_server(folder: Path, dtype: str, weights: str, device: str) -> str:
    """Start a server with the checkpoint and describe its start."""
    environment = {
        "VIVAVOCE_QWEN_DTYPE": dtype,
        "VIVAVOCE_QWEN_WEIGHTS": weights,
        "VIVAVOCE_QWEN_DEVICE": device,
    }
    environment |= {"VIVAVOCE_MODELS": "tone"}
    name, offered = folder.name.lower(), ("--model", str(folder))
    async with started(
        [name], environment=environment, memory_gib=MEMORY_GIB, arguments=offered
    ) as server:
        start = server.start
        assert start is not None, "it was started here"
        asked_s = time.monotonic()
        async with send(
            server.address, "POST", "/v1/tts/synthesize", Question(TEXT, name).body()
        ) as response:
            first_s = time.monotonic() - asked_s  # the head comes with the first audio
        if response.status != 200:
            raise NotReady(f"the checkpoint in {folder} does not speak: {response.status}")
        return (
            f"{dtype}, {weights}: listening after {start.listening_s:.1f} s, "
            f"ready after {start.ready_s:.1f} s, "
            f"/health within {1000 * start.slowest_answer_s:.0f} ms all the while; "
            f"first audio {first_s:.1f} s after the first request"
        )


def drop_page_cache() -> None:
    """Empty the page cache, so that files are read from the disk again.

    Raises `NotReady` without the permission to do so.
    """
    subprocess.run(["sync"], check=True)
    try:
        Path("/proc/sys/vm/drop_caches").write_text("3")
    except OSError as error:
        raise NotReady(
            f"the page cache cannot be emptied ({error}): run --cold as root, on Linux"
        ) from error


def random_checkpoint(size: str, folder: Path) -> Path:
    """Return a CustomVoice checkpoint of a released shape with random weights."""
    from scripts.make_checkpoint import SHAPES
    from tests.models.qwen3_tts.codec_checkpoints import RELEASED, RELEASED_SPEAKER
    from tests.models.qwen3_tts.whole import write_whole

    return write_whole(
        folder / f"random-{size}", "custom_voice", SHAPES[size], RELEASED, RELEASED_SPEAKER, seed=0
    )


@app.command()
def main(
    folder: Annotated[Path | None, typer.Argument(help="Folder of a checkpoint.")] = None,
    random: Annotated[
        Literal["0.6b", "1.7b"] | None, typer.Option(help="Random weights of this shape.")
    ] = None,
    dtype: Annotated[
        list[str], typer.Option(help="As in the setting qwen_dtype; may be repeated.")
    ] = ["auto"],  # noqa: B006
    max_batch: Annotated[list[int], typer.Option(help="Slots; may be repeated.")] = [8],  # noqa: B006
    weights: Annotated[
        list[str], typer.Option(help="With --server, as in qwen_weights; may be repeated.")
    ] = ["auto"],  # noqa: B006
    device: Device = "auto",
    server: Annotated[
        bool, typer.Option("--server", help="Time the start of a server instead.")
    ] = False,
    cold: Annotated[
        bool, typer.Option("--cold", help="Empty the page cache before each start or load.")
    ] = False,
    after: Annotated[
        Path | None, typer.Option(help="A small checkpoint that speaks first, uncounted.")
    ] = None,
    inside: Annotated[bool, typer.Option("--inside", hidden=True)] = False,
) -> None:
    """Print a line for each dtype and number of slots."""
    if inside and folder is not None:
        print(json.dumps(asdict(measure(folder, dtype[0], max_batch[0], device, after))))
        return
    with ExitStack() as stack:
        if random is not None:
            folder = random_checkpoint(
                random, Path(stack.enter_context(tempfile.TemporaryDirectory()))
            )
        if folder is None:
            raise typer.BadParameter("name the folder of a checkpoint, or a shape with --random")
        for numbers in dtype:
            for form in weights if server else ():
                if cold:
                    drop_page_cache()
                print(asyncio.run(start_server(folder, numbers, form, device)), flush=True)
            for slots in () if server else max_batch:
                if cold:
                    drop_page_cache()
                print(line(measure_apart(folder, numbers, slots, device, after)), flush=True)


def line(found: Loaded) -> str:
    """Return one measurement, in words."""
    text = (
        f"{found.dtype}, {found.max_batch} slots: loaded in {found.load_s:.1f} s, "
        f"own memory at most {found.peak:,.0f} MiB (and {found.peak_files:,.0f} of files), "
        f"{found.loaded:,.0f} afterwards, {found.speaking:,.0f} speaking"
    )
    if found.cuda_loaded:
        text += (
            f"; on the device at most {found.cuda_peak:,.0f} MiB, "
            f"{found.cuda_loaded:,.0f} afterwards, {found.cuda_speaking:,.0f} speaking"
        )
    return text


if __name__ == "__main__":
    app()
