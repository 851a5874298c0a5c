"""How fast frames are made here: time a frame and to the first sound by batch size, beside what
memory allows.

A frame reads every matrix of the talker once and of the code predictor fifteen times, so the bytes
of these divided by the bandwidth of memory are the least time that it can take: the floor. It knows
no requests, no server and no peers.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import torch
from torch import Tensor

from vivavoce.models.hardware import available_cores
from vivavoce.models.qwen3_tts.checkpoint import random_weights as random
from vivavoce.models.qwen3_tts.checkpoint.config import Config
from vivavoce.models.qwen3_tts.checkpoint.folder import load_checkpoint
from vivavoce.models.qwen3_tts.codec import CodecDecoder, load_decoder
from vivavoce.models.qwen3_tts.network.linear import Linear, stored_as
from vivavoce.models.qwen3_tts.network.sampler import Sampling
from vivavoce.models.qwen3_tts.network.talker import Talker
from vivavoce.models.qwen3_tts.runtime.batch import Batch
from vivavoce.models.qwen3_tts.runtime.codec_runner import CodecRunner
from vivavoce.models.qwen3_tts.runtime.cuda import CudaStream
from vivavoce.models.qwen3_tts.runtime.device import choose_device, choose_dtype, choose_form
from vivavoce.models.qwen3_tts.runtime.stop_rules import FRAME_S

PROMPT = 48  # positions that each stream has read: a sentence of ten words
WARM_UP = 3  # frames that do not count
CHUNK = 8  # frames that the codec sounds together, as it does once a stream is under way
PROBE_BYTES = 1 << 29  # larger than any cache
PROBES = 10
CODEC = "speech_tokenizer"


@dataclass(frozen=True, slots=True)
class Speaking:
    """What is measured: a language model, and a codec if its time is to count."""

    talker: Talker
    config: Config
    codec: CodecDecoder | None
    stored: str  # how its weights are kept, in words


@dataclass(frozen=True, slots=True)
class Machine:
    """Where it is measured."""

    device: str
    threads: int
    read_gb_s: float  # memory bandwidth, see `read_bandwidth`


@dataclass(frozen=True, slots=True)
class Pace:
    """The speed at one batch size; times are medians."""

    batch: int
    frame_ms: float  # one frame of every stream, by the language model
    codec_ms: float  # the same frames made audible; 0 without codec
    first_audio_ms: float  # from a prompt to the sound of its first frame, nobody else speaking
    floor_ms: float  # what reading the weights takes
    capture_s: float = 0.0  # what capturing the graphs took, on CUDA

    @property
    def frames_per_s(self) -> float:
        """Frames of all streams together."""
        return 1000 * self.batch / (self.frame_ms + self.codec_ms)

    @property
    def real_time(self) -> float:
        """Seconds of audio made in a second, of all streams together."""
        return self.frames_per_s * FRAME_S

    @property
    def floor_share(self) -> float:
        """How near the language model is to the floor: 1 would be there."""
        return self.floor_ms / self.frame_ms


def prepare(
    source: Path | str, *, device: str, dtype: str, weights: str, threads: int | None, codec: bool
) -> tuple[Speaking, Machine]:
    """A checkpoint's folder, or random weights of a released size ("0.6b", "1.7b"), and the machine
    they are on.

    `threads` None uses the cores available; it is for the whole process. Raises what loading a
    checkpoint raises.
    """
    torch.set_num_threads(threads or available_cores())
    where = choose_device(device)
    numbers = choose_dtype(dtype, where)
    form = choose_form(weights, where, numbers)
    if isinstance(source, Path):
        loaded = load_checkpoint(source, where, numbers, form=form, text_device=torch.device("cpu"))
        talker, config = loaded.talker, loaded.config
        decoder = load_decoder(source / CODEC, where, torch.float32) if codec else None
    else:
        config = random.released_config(source)
        talker = random.random_talker(config, where, numbers, form)
        shape = random.TINY_CODEC if source == "tiny" else random.CODEC
        decoder = random.random_codec(where, config=shape) if codec else None
    # An end of speech that is no entry of the vocabulary never comes: every stream speaks on.
    config = replace(config, codec_ids=replace(config.codec_ids, eos=-1))
    speaking = Speaking(talker, config, decoder, stored_as(form, numbers))
    return speaking, Machine(str(where), torch.get_num_threads(), read_bandwidth(where) / 1e9)


@torch.inference_mode()
def read_bandwidth(device: torch.device) -> float:
    """Bytes a second that this device reads from memory.

    The best of some runs over half a gibibyte of float32, each run a sum or the product of a matrix
    and a vector: neither computes anything worth mentioning.
    """
    matrix = torch.ones(PROBE_BYTES // 4 // 4096, 4096, device=device)
    vector = torch.ones(4096, device=device)
    best = float("inf")
    for number in range(2 * PROBES):
        _wait(device)
        start = time.perf_counter()
        _ = matrix @ vector if number % 2 else matrix.sum()
        _wait(device)
        best = min(best, time.perf_counter() - start)
    return PROBE_BYTES / best


def frame_bytes(talker: Talker, config: Config) -> int:
    """Return the bytes of weights that one frame reads, however many streams it is for."""
    predictor = talker.code_predictor
    passes = config.codebooks - 1
    once = (talker.model, talker.codec_head, predictor.lm_head)
    return sum(map(_bytes, once)) + passes * (
        _bytes(predictor.model) + _bytes(predictor.small_to_mtp_projection)
    )


def measure(speaking: Speaking, machine: Machine, batch: int, frames: int) -> Pace:
    """Return the pace of `batch` streams over `frames` frames each; on CUDA by graphs, as the model runs there."""
    first_ms = _first_audio_ms(speaking)
    track, sounding = _track(speaking), _track(speaking)
    with track.current():
        streams = _open(speaking, track, batch, frames + WARM_UP)
    sounder = None if speaking.codec is None else _sounder(speaking.codec, sounding, batch)
    slots = [] if sounder is None else [sounder.open() for _ in range(batch)]
    frame_ms, codec_ms, pending = [], [], list[Tensor]()
    for number in range(WARM_UP + frames):
        start = time.perf_counter()
        with track.current():
            codes = (
                streams.step().codes[:batch].cpu()
            )  # waits for the device, as the model does to see an end
        if number >= WARM_UP:
            frame_ms.append(1000 * (time.perf_counter() - start))
        pending.append(codes.clone())
        if sounder is not None and len(pending) == CHUNK:
            start = time.perf_counter()
            sounder.sound(_sayable(pending, speaking), slots).wait()
            codec_ms.append(1000 * (time.perf_counter() - start) / CHUNK)
            pending.clear()
    floor_ms = frame_bytes(speaking.talker, speaking.config) / machine.read_gb_s / 1e6
    codec = median(codec_ms) if codec_ms else 0.0
    return Pace(
        batch, median(frame_ms), codec, first_ms, floor_ms, track.capture_s + sounding.capture_s
    )


def frames_of_one(speaking: Speaking, frames: int) -> Callable[[], float]:
    """What makes the next frame of one stream, `frames` at most, and gives the milliseconds it took."""
    track = _track(speaking)
    with track.current():
        batch = _open(speaking, track, 1, frames)

    def step() -> float:
        start = time.perf_counter()
        with track.current():
            batch.step().codes.cpu()
        return 1000 * (time.perf_counter() - start)

    return step


def peak_memory(device: str) -> int:
    """Return the most bytes taken so far: of the device's memory on CUDA, else of the process's, 0 where nobody counts."""
    if device.startswith("cuda"):
        most: int = torch.cuda.max_memory_allocated(device)
        return most
    try:
        import resource
    except ImportError:  # Windows
        return 0
    import sys

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _track(speaking: Speaking) -> CudaStream:
    """Work on the talker's device, captured on CUDA."""
    device = speaking.talker.device
    return CudaStream(device, fixed=device.type == "cuda")


def _sounder(codec: CodecDecoder, track: CudaStream, streams: int) -> CodecRunner:
    """Return the codec for `streams` streams; its chunks are captured on CUDA before they count."""
    sounder = CodecRunner(codec, track, streams)
    if track.fixed:
        slots = [sounder.open() for _ in range(streams)]
        for _ in range(2):
            nothing = torch.zeros(streams, codec.config.num_quantizers, CHUNK, dtype=torch.int64)
            sounder.sound(nothing, slots).wait()
        for slot in slots:
            slot.close()
    return sounder


def _open(speaking: Speaking, track: CudaStream, streams: int, frames: int) -> Batch:
    """A batch with `streams` streams, each behind a prompt of noise."""
    talker, hidden = speaking.talker, speaking.config.talker.hidden_size
    pad = torch.zeros(hidden, device=talker.device, dtype=talker.dtype)
    positions = -(-(PROMPT + frames) // 64) * 64
    batch = Batch(talker, speaking.config, pad, slots=streams, max_len=positions, track=track)
    generator = torch.Generator().manual_seed(0)
    for seed in range(streams):
        prompt = torch.randn(PROMPT, hidden, generator=generator).to(talker.device, talker.dtype)
        batch.open(prompt, prompt[:0], _sampling(speaking.config, seed))
    return batch


def _sampling(config: Config, seed: int) -> Sampling:
    generation = config.generation
    return Sampling(generation.talker, generation.predictor, generation.repetition_penalty, seed)


def _first_audio_ms(speaking: Speaking) -> float:
    """From a prompt to the samples of its first frame: the median of three, with what is captured captured before."""
    track, sounding, taken = _track(speaking), _track(speaking), []
    with track.current():
        batch = _open(speaking, track, 1, 2)
    batch.close(0)
    sounder = None if speaking.codec is None else CodecRunner(speaking.codec, sounding, 1)
    hidden, talker = speaking.config.talker.hidden_size, speaking.talker
    for _ in range(5 if track.fixed else 3):
        prompt = torch.randn(PROMPT, hidden).to(talker.device, talker.dtype)
        start = time.perf_counter()
        with track.current():
            slot = batch.open(prompt, prompt[:0], _sampling(speaking.config, 0))
            codes = batch.step().codes[:1].cpu()
        if sounder is not None:
            voice = sounder.open()
            sounder.sound(_sayable([codes], speaking), [voice]).wait()
            voice.close()
        taken.append(1000 * (time.perf_counter() - start))
        batch.close(slot)
    return median(taken[-3:])


def _sayable(frames: Sequence[Tensor], speaking: Speaking) -> Tensor:
    """Codes [rows, codebooks, frames] as the codec takes them: of the codec's entries."""
    return torch.stack(list(frames), dim=-1).clamp(max=speaking.config.code_vocab_size - 1)


def _bytes(module: torch.nn.Module) -> int:
    return sum(matrix.stored_bytes for matrix in module.modules() if isinstance(matrix, Linear))


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
