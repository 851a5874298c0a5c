"""Measure the time per frame and to the first audio by batch size.

A frame reads every matrix of the talker once and of the code predictor fifteen times. Their bytes
divided by the memory bandwidth are the least time of a frame: the floor. It knows no requests, no
server and no other machines.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import torch
from torch import Tensor

from vivavoce.models.hardware import available_cores, processor_name
from vivavoce.models.qwen3_tts.checkpoint import random_weights as random
from vivavoce.models.qwen3_tts.checkpoint.config import Config
from vivavoce.models.qwen3_tts.checkpoint.folder import load_checkpoint
from vivavoce.models.qwen3_tts.codec import CodecDecoder, load_decoder
from vivavoce.models.qwen3_tts.codec.precision import set_precision
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
CHUNK = 8  # frames that the codec decodes together, as for a running stream
PROBE_BYTES = 1 << 29  # larger than any cache
PROBES = 10
CODEC = "speech_tokenizer"


@dataclass(frozen=True, slots=True)
class Speaking:
    """The measured models: a language model, and a codec if its time is to count."""

    talker: Talker
    config: Config
    codec: CodecDecoder | None
    stored: str  # description of its weights


@dataclass(frozen=True, slots=True)
class Machine:
    """The measured machine."""

    device: str
    processor: str
    cores: int  # that this process may use
    threads: int
    read_gb_s: float  # memory bandwidth, see `read_bandwidth`


@dataclass(frozen=True, slots=True)
class BatchSpeed:
    """Speed at one batch size. Times are medians."""

    batch: int
    frame_ms: float  # one frame of every stream, by the language model
    codec_ms: float  # the same frames, by the codec; 0 without codec
    first_audio_ms: float  # from a prompt to the audio of its first frame, one stream alone
    floor_ms: float  # to read the weights
    capture_s: float = 0.0  # to capture the graphs, on CUDA

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
        """Ratio of the floor to the language model's time, at best 1."""
        return self.floor_ms / self.frame_ms


def prepare(
    source: Path | str, *, device: str, dtype: str, weights: str, threads: int | None, codec: bool
) -> tuple[Speaking, Machine]:
    """Return the models of a checkpoint folder, or random ones, and the machine.

    `source` is a folder, or a released size ("0.6b", "1.7b") for random weights. `threads` is for
    the whole process, and None uses the available cores. Raises the errors of loading a checkpoint.
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
    if decoder is not None:
        set_precision(decoder, "auto")
    # An end of speech outside the vocabulary is never drawn, so every stream goes on.
    config = replace(config, codec_ids=replace(config.codec_ids, eos=-1))
    speaking = Speaking(talker, config, decoder, stored_as(form, numbers))
    machine = Machine(
        str(where),
        _device_name(where),
        available_cores(),
        torch.get_num_threads(),
        read_bandwidth(where) / 1e9,
    )
    return speaking, machine


@torch.inference_mode()
def read_bandwidth(device: torch.device) -> float:
    """Return the bytes per second that this device reads from memory.

    It is the best of several runs over half a gibibyte of float32. Each run is a sum or the product
    of a matrix and a vector, whose arithmetic takes hardly any time.
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
    """Return the bytes of weights that one frame reads, for any number of streams."""
    predictor = talker.code_predictor
    passes = config.codebooks - 1
    once = (talker.model, talker.codec_head, predictor.lm_head)
    often = (predictor.model, predictor.small_to_mtp_projection)
    return sum(map(_bytes, once)) + passes * sum(map(_bytes, often))


def measure(speaking: Speaking, machine: Machine, batch: int, frames: int) -> BatchSpeed:
    """Return the speed of `batch` streams over `frames` frames each, with graphs on CUDA."""
    first_ms = _first_audio_ms(speaking)
    cuda_stream, codec_stream = _cuda_stream(speaking), _cuda_stream(speaking)
    with cuda_stream.current():
        streams = _open(speaking, cuda_stream, batch, frames + WARM_UP)
    decoder = speaking.codec
    codec_runner = None if decoder is None else _codec_runner(decoder, codec_stream, batch)
    slots = [] if codec_runner is None else [codec_runner.open() for _ in range(batch)]
    frame_ms, codec_ms, pending = [], [], list[Tensor]()
    for number in range(WARM_UP + frames):
        start = time.perf_counter()
        with cuda_stream.current():
            codes = streams.step().codes[:batch].cpu()  # waits for the device, as the model does
        if number >= WARM_UP:
            frame_ms.append(1000 * (time.perf_counter() - start))
        pending.append(codes.clone())
        if codec_runner is not None and len(pending) == CHUNK:
            start = time.perf_counter()
            codec_runner.decode(_sayable(pending, speaking), slots).wait()
            codec_ms.append(1000 * (time.perf_counter() - start) / CHUNK)
            pending.clear()
    floor_ms = frame_bytes(speaking.talker, speaking.config) / machine.read_gb_s / 1e6
    codec = median(codec_ms) if codec_ms else 0.0
    capture_s = cuda_stream.capture_s + codec_stream.capture_s
    return BatchSpeed(batch, median(frame_ms), codec, first_ms, floor_ms, capture_s)


def codec_ms(codec: CodecDecoder, streams: int, rounds: int = 8) -> float:
    """Return the milliseconds of one frame of `streams` streams, `CHUNK` decoded together."""
    runner = _codec_runner(codec, CudaStream(codec.device, fixed=True), streams)
    slots, taken = [runner.open() for _ in range(streams)], []
    shape = (streams, codec.config.num_quantizers, CHUNK)
    codes = torch.randint(codec.config.codebook_size, shape)
    for _ in range(rounds):
        start = time.perf_counter()
        runner.decode(codes, slots).wait()
        taken.append(1000 * (time.perf_counter() - start) / CHUNK)
    return median(taken)


def frames_of_one(speaking: Speaking, frames: int) -> Callable[[], float]:
    """Return a function that makes one stream's next frame, `frames` times, and returns its ms."""
    cuda_stream = _cuda_stream(speaking)
    with cuda_stream.current():
        batch = _open(speaking, cuda_stream, 1, frames)

    def step() -> float:
        start = time.perf_counter()
        with cuda_stream.current():
            batch.step().codes.cpu()
        return 1000 * (time.perf_counter() - start)

    return step


def peak_memory(device: str) -> int:
    """Return the most bytes taken of a CUDA device or by the process, 0 if not counted."""
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


def _cuda_stream(speaking: Speaking) -> CudaStream:
    """Return a queue of work on the talker's device, captured on CUDA."""
    device = speaking.talker.device
    return CudaStream(device, fixed=device.type == "cuda")


def _codec_runner(codec: CodecDecoder, cuda_stream: CudaStream, streams: int) -> CodecRunner:
    """Return the codec for `streams` streams, on CUDA with its graphs captured before."""
    codec_runner = CodecRunner(codec, cuda_stream, streams)
    if cuda_stream.fixed:
        slots = [codec_runner.open() for _ in range(streams)]
        for _ in range(2):
            nothing = torch.zeros(streams, codec.config.num_quantizers, CHUNK, dtype=torch.int64)
            codec_runner.decode(nothing, slots).wait()
        for slot in slots:
            slot.close()
    return codec_runner


def _open(speaking: Speaking, cuda_stream: CudaStream, streams: int, frames: int) -> Batch:
    """Return a batch of `streams` streams, each with a prompt of noise."""
    talker, hidden = speaking.talker, speaking.config.talker.hidden_size
    pad = torch.zeros(hidden, device=talker.device, dtype=talker.dtype)
    positions = -(-(PROMPT + frames) // 64) * 64
    size = {"slots": streams, "max_len": positions}
    batch = Batch(talker, speaking.config, pad, **size, cuda_stream=cuda_stream)
    generator = torch.Generator().manual_seed(0)
    for seed in range(streams):
        prompt = torch.randn(PROMPT, hidden, generator=generator).to(talker.device, talker.dtype)
        batch.open(prompt, prompt[:0], _sampling(speaking.config, seed))
    return batch


def _sampling(config: Config, seed: int) -> Sampling:
    generation = config.generation
    return Sampling(generation.talker, generation.predictor, generation.repetition_penalty, seed)


def _first_audio_ms(speaking: Speaking) -> float:
    """Return the ms from a prompt to its first samples: the median of three, after captures."""
    cuda_stream, codec_stream, taken = _cuda_stream(speaking), _cuda_stream(speaking), []
    with cuda_stream.current():
        batch = _open(speaking, cuda_stream, 1, 2)
    batch.close(0)
    codec_runner = None if speaking.codec is None else CodecRunner(speaking.codec, codec_stream, 1)
    hidden, talker = speaking.config.talker.hidden_size, speaking.talker
    for _ in range(5 if cuda_stream.fixed else 3):
        prompt = torch.randn(PROMPT, hidden).to(talker.device, talker.dtype)
        start = time.perf_counter()
        with cuda_stream.current():
            slot = batch.open(prompt, prompt[:0], _sampling(speaking.config, 0))
            codes = batch.step().codes[:1].cpu()
        if codec_runner is not None:
            voice = codec_runner.open()
            codec_runner.decode(_sayable([codes], speaking), [voice]).wait()
            voice.close()
        taken.append(1000 * (time.perf_counter() - start))
        batch.close(slot)
    return median(taken[-3:])


def _sayable(frames: Sequence[Tensor], speaking: Speaking) -> Tensor:
    """Return codes [rows, codebooks, frames] that the codec has entries for."""
    return torch.stack(list(frames), dim=-1).clamp(max=speaking.config.code_vocab_size - 1)


def _bytes(module: torch.nn.Module) -> int:
    return sum(matrix.stored_bytes for matrix in module.modules() if isinstance(matrix, Linear))


def _device_name(device: torch.device) -> str:
    named = device.type == "cuda"
    return str(torch.cuda.get_device_name(device)) if named else processor_name()


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
