"""A Qwen3-TTS checkpoint as a `Model`: segments in, samples out, one frame of every stream a step.

A stream is a slot of the language model's batch, the codes it has made and not yet sounded, and the codec's memory of
it. The first frame is sounded at once, then two, four, eight at a time: a listener hears something early, and the
codec, whose cost a frame falls with the frames it gets, is soon used well. It knows neither HTTP nor whole texts.
"""

import logging
import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vivavoce.engines.base import Stream
from vivavoce.engines.cores import available_cores
from vivavoce.engines.qwen.checkpoint import load_checkpoint
from vivavoce.engines.qwen.codec import CodecDecoder, DecoderState, load_decoder, read_codec_config
from vivavoce.engines.qwen.config import Config
from vivavoce.engines.qwen.device import choose_device, choose_dtype, choose_form
from vivavoce.engines.qwen.ending import FRAME_S, Repetition, least_frames, most_frames
from vivavoce.engines.qwen.linear import Form, stored_as
from vivavoce.engines.qwen.prompt import PromptRequest
from vivavoce.engines.qwen.sampler import Sampling
from vivavoce.engines.qwen.voices import RATE_HZ, describe, language_codes
from vivavoce.errors import BadRequest, EngineFault, MissingDependency, Unsupported
from vivavoce.types import Samples, Segment

log = logging.getLogger(__name__)

CODEC = "speech_tokenizer"  # the codec's folder in a checkpoint
PROMPT_POSITIONS = 512  # of a slot are for the prompt: a segment takes 300 at most, the rest is for `instruct`
SIZES = {"0b6": "0.6B", "1b7": "1.7B"}
LARGEST_CHUNK = 8  # frames that are sounded together; a power of 2
SILENCE: Samples = np.zeros(0, dtype=np.float32)


@dataclass(eq=False, slots=True)
class _QwenStream:
    """One segment being spoken. `slot` is None once its last frame is made."""

    segment: Segment
    slot: int | None
    seed: int
    frames_left: int
    codec: DecoderState
    spoken: int = 0  # frames made
    pending: list[Tensor] = field(default_factory=list)  # codes [codebooks] of frames not yet sounded
    repetition: Repetition = field(default_factory=Repetition)

    @property
    def is_due(self) -> bool:
        """Whether its pending frames are to be sounded now: all that there are, or a chunk of 1, 2, 4, 8, 8 …"""
        sounded = self.spoken - len(self.pending)
        return bool(self.pending) and (self.slot is None or len(self.pending) >= min(sounded + 1, LARGEST_CHUNK))


class QwenModel:
    """Speaks with the checkpoint in `folder`: `max_batch` segments at once, each of at most `max_frames` frames.

    `name` is the folder's in lower case unless given.

    `device` is "auto" (CUDA where there is some, else the CPU) or a torch device; `dtype` is "auto" (bfloat16 on CUDA,
    float32 elsewhere), "float32", "bfloat16" or "float16". The codec is float32 always: it is small, and its output is
    what is heard. `weights` is "auto" (prepacked on the CPU, plain elsewhere), "plain", "prepacked" or "int8", see
    `linear`. `threads` limits torch on the CPU, for the whole process; unset, it uses the cores available.

    Raises `MissingDependency` for absent files, `EngineFault` for broken ones or a device that is not there.
    """

    lanes = 1

    def __init__(
        self,
        folder: Path,
        *,
        name: str | None = None,
        device: str = "auto",
        dtype: str = "auto",
        weights: str = "auto",
        max_batch: int = 8,
        max_frames: int = 1024,
        threads: int | None = None,
    ) -> None:
        _check_folder(folder)
        torch.set_num_threads(threads or available_cores())
        where = choose_device(device)
        numbers = choose_dtype(dtype, where)
        self.max_batch = max_batch
        form = choose_form(weights, where, numbers)
        self._checkpoint = load_checkpoint(folder, where, numbers, form=form, text_device=torch.device("cpu"))
        self._codec = _load_codec(folder / CODEC, where, self._checkpoint.config)
        self._max_frames = min(max_frames, self._checkpoint.config.generation.max_frames)
        self._batch = self._checkpoint.batch(max_batch, PROMPT_POSITIONS + self._max_frames)
        self._streams: set[_QwenStream] = set()  # those that hold a slot
        self._running: set[_QwenStream] = set()  # of these, those that the last step advanced
        # In lower precision a stream's rounding depends on how many speak beside it, and with it a rare draw.
        exact = numbers is torch.float32 and form is not Form.INT8
        detail = f"{SIZES.get(self.config.size, self.config.size)} on {where}, {stored_as(form, numbers)}"
        self.info = describe(self.config, name or folder.resolve().name.lower(), detail, deterministic=exact)
        self._languages = language_codes(self.config)

    @property
    def config(self) -> Config:
        """What the checkpoint says of itself."""
        return self._checkpoint.config

    @property
    def slots_taken(self) -> int:
        """Streams that hold a slot."""
        return len(self._streams)

    def open(self, segment: Segment) -> _QwenStream:
        prompt, trailing = self._checkpoint.prompt(self._request(segment))
        if len(prompt) > PROMPT_POSITIONS:
            raise BadRequest(
                f"text and instruct take {len(prompt)} tokens together, {PROMPT_POSITIONS} fit: shorten instruct",
                field="instruct" if segment.instruct else "text",
            )
        # Unlike a model's own noise, a seed of our own choosing can be told in the log.
        seed = random.getrandbits(63) if segment.seed is None else segment.seed
        codec = self._codec.open()  # before a slot is taken, which a failure here would keep
        slot = self._batch.open(prompt, trailing, _sampling(self.config, seed))
        most = min(most_frames(segment.text), self._max_frames, self._batch.room(slot))
        stream = _QwenStream(segment, slot, seed, most, codec)
        self._streams.add(stream)
        self._running.add(stream)
        return stream

    def step(self, streams: Sequence[Stream]) -> Sequence[Samples | None]:
        mine = [stream for stream in streams if isinstance(stream, _QwenStream)]
        ended = {stream for stream in mine if stream.slot is None}
        self._run_only({stream for stream in mine if stream.slot is not None})
        if self._running:
            self._make_frame()
        sounded = self._sound([stream for stream in mine if stream.is_due])
        return [None if stream in ended else sounded.get(stream, SILENCE) for stream in mine]

    def close(self, stream: Stream) -> None:
        if isinstance(stream, _QwenStream):
            self._free(stream)
            stream.pending.clear()

    def _request(self, segment: Segment) -> PromptRequest:
        config = self.config
        if config.task == "base":
            raise Unsupported(
                f"model {self.info.name!r} is a Base checkpoint, which speaks with the voice of a recording, and this "
                "server takes no recordings yet: serve a CustomVoice or VoiceDesign checkpoint",
                field="model",
            )
        if config.task == "voice_design" and not segment.instruct:
            raise BadRequest(
                f"model {self.info.name!r} designs its voice from a description: say in instruct who speaks, and how",
                field="instruct",
            )
        speaker = segment.voice if config.task == "custom_voice" else None
        return PromptRequest(segment.text, self._languages[segment.language], speaker, segment.instruct)

    def _run_only(self, streams: set[_QwenStream]) -> None:
        """Leaves out of the batch's steps whoever is not among `streams`: its listener has enough for now."""
        for stream in self._running - streams:
            if stream.slot is not None:
                self._batch.pause(stream.slot)
        for stream in streams - self._running:
            assert stream.slot is not None, "the caller has left out what has ended"
            self._batch.resume(stream.slot)
        self._running = streams

    def _make_frame(self) -> None:
        """One frame for every running stream; frees the slots of those that are through."""
        frame = self._batch.step()
        first = frame.codes[:, 0].tolist()  # the only wait for the device in a frame
        for stream in tuple(self._running):
            assert stream.slot is not None, "a running stream has a slot"
            reason = self._take(stream, first[stream.slot], frame.codes[stream.slot])
            if reason is not None:
                self._free(stream)
                _log_ending(stream, reason)

    def _take(self, stream: _QwenStream, first: int, codes: Tensor) -> str | None:
        """Adds a frame to `stream`; why it was the last one, if it was."""
        if first == self.config.codec_ids.eos:
            return "end of speech"
        stream.pending.append(codes)
        stream.spoken += 1
        stream.frames_left -= 1
        if stream.repetition.note(first):
            return "its codes repeat themselves"
        return "more frames than its text can take" if stream.frames_left <= 0 else None

    def _free(self, stream: _QwenStream) -> None:
        self._streams.discard(stream)
        self._running.discard(stream)
        if stream.slot is not None:
            self._batch.close(stream.slot)
            stream.slot = None

    def _sound(self, due: Sequence[_QwenStream]) -> dict[_QwenStream, Samples]:
        """The samples of the pending frames of every stream that is `due`, streams with as many frames together."""
        groups: dict[int, list[_QwenStream]] = defaultdict(list)
        for stream in due:
            groups[len(stream.pending)].append(stream)
        samples: dict[_QwenStream, Samples] = {}
        for group in groups.values():
            codes = torch.stack([torch.stack(stream.pending, dim=-1) for stream in group])  # [group, codebooks, frames]
            waves: Samples = self._codec.step(codes, [stream.codec for stream in group]).float().cpu().numpy()
            samples.update(zip(group, waves, strict=True))
        for stream in due:
            stream.pending.clear()
        return samples


def _check_folder(folder: Path) -> None:
    if not (folder / "config.json").is_file():
        what = "has no config.json" if folder.is_dir() else "is not there"
        raise MissingDependency(
            f"the Qwen3-TTS checkpoint {str(folder)!r} {what}: download a whole checkpoint, such as "
            "Qwen/Qwen3-TTS-12Hz-0.6B-CustomVoice, into a folder, and name that folder in the setting 'qwen'"
        )


def _load_codec(folder: Path, device: torch.device, config: Config) -> CodecDecoder:
    """The codec of a checkpoint. Raises `EngineFault` if it is not the one that the language model speaks in."""
    codec = read_codec_config(folder)
    decoder = codec.decoder
    entries = max(config.code_vocab_size, min(config.unspoken, default=config.codec_vocab_size))
    if decoder.num_quantizers != config.codebooks or decoder.codebook_size < entries:
        raise EngineFault(
            f"{str(folder)!r} decodes {decoder.num_quantizers} codebooks of {decoder.codebook_size}, the checkpoint "
            f"speaks in {config.codebooks} of {entries}: they do not belong together, fetch the checkpoint again"
        )
    if codec.sample_rate_hz != RATE_HZ:
        raise EngineFault(f"{str(folder)!r} decodes to {codec.sample_rate_hz} Hz, this engine to {RATE_HZ}")
    return load_decoder(folder, device, torch.float32)


def _sampling(config: Config, seed: int) -> Sampling:
    """The checkpoint's own way of drawing codes; its least number of frames keeps the first two from being the end."""
    generation = config.generation
    return Sampling(generation.talker, generation.predictor, generation.repetition_penalty, seed)


def _log_ending(stream: _QwenStream, reason: str) -> None:
    """Says in the log why a stream ended: as a warning if it cannot have said its text, and nothing but that."""
    said = f"{stream.spoken} frames ({stream.spoken * FRAME_S:.1f} s) of {len(stream.segment.text)} characters"
    if reason != "end of speech":
        log.warning("stopped after %s, seed %d: %s", said, stream.seed, reason)
    elif stream.spoken < least_frames(stream.segment.text):
        log.warning("ended too soon, after %s, seed %d: try another seed", said, stream.seed)
    else:
        log.debug("ended after %s, seed %d", said, stream.seed)
