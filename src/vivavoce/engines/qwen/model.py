"""A Qwen3-TTS checkpoint as a `Model`: segments in, samples out, one frame of every stream a step.

A stream is a slot of the language model's batch, the codes it has made and not yet sounded, and the codec's memory of
it. The first frame is sounded at once, later ones in larger chunks as the listener's lead allows. It knows neither HTTP
nor whole texts.
"""

import logging
import random
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from vivavoce.engines.base import Stream
from vivavoce.engines.cores import available_cores
from vivavoce.engines.qwen.checkpoint import load_checkpoint
from vivavoce.engines.qwen.codec import CodecDecoder, load_decoder, read_codec_config
from vivavoce.engines.qwen.config import Config, SamplingDefaults
from vivavoce.engines.qwen.device import choose_device, choose_dtype, choose_form, release_memory
from vivavoce.engines.qwen.ending import least_frames, most_frames
from vivavoce.engines.qwen.footprint import CODEC, MAX_FRAMES, PROMPT_POSITIONS, slot_positions
from vivavoce.engines.qwen.linear import stored_as
from vivavoce.engines.qwen.prompt import PromptRequest
from vivavoce.engines.qwen.sampler import Sampling
from vivavoce.engines.qwen.stream import SegmentStream
from vivavoce.engines.qwen.voices import RATE_HZ, describe, language_codes
from vivavoce.errors import BadRequest, EngineFault, MissingDependency, Unsupported
from vivavoce.types import Ending, Samples, Segment

log = logging.getLogger(__name__)

SILENCE: Samples = np.zeros(0, dtype=np.float32)


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
        max_frames: int = MAX_FRAMES,
        threads: int | None = None,
    ) -> None:
        check_folder(folder)
        torch.set_num_threads(threads or available_cores())
        where = choose_device(device)
        numbers = choose_dtype(dtype, where)
        self.max_batch = max_batch
        form = choose_form(weights, where, numbers)
        self._checkpoint = load_checkpoint(folder, where, numbers, form=form, text_device=torch.device("cpu"))
        self._codec = _load_codec(folder / CODEC, where, self._checkpoint.config)
        self._max_frames = min(max_frames, self._checkpoint.config.generation.max_frames)
        self._batch = self._checkpoint.batch(max_batch, slot_positions(self._checkpoint.config, max_frames))
        self._streams: set[SegmentStream] = set()  # those that hold a slot
        self._running: set[SegmentStream] = set()  # of these, those that the last step advanced
        self.info = describe(self.config, name or folder.resolve().name.lower(), str(where), stored_as(form, numbers))
        self._device = where
        self._languages = language_codes(self.config)

    @property
    def config(self) -> Config:
        """What the checkpoint says of itself."""
        return self._checkpoint.config

    @property
    def slots_taken(self) -> int:
        """Streams that hold a slot."""
        return len(self._streams)

    def open(self, segment: Segment) -> SegmentStream:
        prompt, trailing = self._checkpoint.prompt(self._request(segment))
        if len(prompt) > PROMPT_POSITIONS:
            raise BadRequest(
                f"text and instruct take {len(prompt)} tokens together, {PROMPT_POSITIONS} fit: shorten instruct",
                field="instruct" if segment.instruct else "text",
            )
        # Unlike a model's own noise, a seed of our own choosing can be told in the log.
        seed = random.getrandbits(63) if segment.seed is None else segment.seed
        codec = self._codec.open()  # before a slot is taken, which a failure here would keep
        slot = self._batch.open(prompt, trailing, _sampling(self.config, segment, seed))
        limit = segment.sampling.max_new_tokens or self._max_frames
        most = min(most_frames(segment.text), self._max_frames, limit, self._batch.room(slot))
        stream = SegmentStream(segment, slot, seed, most, codec)
        self._streams.add(stream)
        self._running.add(stream)
        return stream

    def step(self, streams: Sequence[Stream], ahead_s: Sequence[float] = ()) -> Sequence[Samples | Ending]:
        mine = [stream for stream in streams if isinstance(stream, SegmentStream)]
        ended = {stream: stream.ending for stream in mine if stream.ending is not None}
        self._run_only({stream for stream in mine if stream.slot is not None})
        if self._running:
            self._make_frame()
        lead = dict(zip(mine, ahead_s, strict=False))
        sounded = self._sound([stream for stream in mine if stream.is_due(lead.get(stream, 0.0))])
        return [ended.get(stream) or sounded.get(stream, SILENCE) for stream in mine]

    def close(self, stream: Stream) -> None:
        if isinstance(stream, SegmentStream):
            self._free(stream)
            stream.pending.clear()

    def unload(self) -> None:
        del self._checkpoint, self._codec, self._batch
        release_memory(self._device)

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

    def _run_only(self, streams: set[SegmentStream]) -> None:
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
            stream.take(first[stream.slot], frame.codes[stream.slot], eos=self.config.codec_ids.eos)
            if stream.ending is not None:
                self._free(stream)
                stream.log_ending()

    def _free(self, stream: SegmentStream) -> None:
        self._streams.discard(stream)
        self._running.discard(stream)
        if stream.slot is not None:
            self._batch.close(stream.slot)
            stream.slot = None

    def _sound(self, due: Sequence[SegmentStream]) -> dict[SegmentStream, Samples]:
        """The samples of the pending frames of every stream that is `due`, streams with as many frames together."""
        groups: dict[int, list[SegmentStream]] = defaultdict(list)
        for stream in due:
            groups[len(stream.pending)].append(stream)
        samples: dict[SegmentStream, Samples] = {}
        for group in groups.values():
            codes = torch.stack([torch.stack(stream.pending, dim=-1) for stream in group])  # [group, codebooks, frames]
            waves: Samples = self._codec.step(codes, [stream.codec for stream in group]).float().cpu().numpy()
            samples.update(zip(group, waves, strict=True))
        for stream in due:
            stream.pending.clear()
        return samples


def check_folder(folder: Path) -> None:
    """Raises `MissingDependency`, with what to do, if there is no checkpoint in `folder`."""
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


def _sampling(config: Config, segment: Segment, seed: int) -> Sampling:
    """How to draw the codes of `segment`: the checkpoint's own way where the request does not say.

    Speech cannot end before its text can have been said: an end that is drawn too soon would leave most of it out.
    """
    wanted, own = segment.sampling, config.generation
    talker = _drawn(own.talker, wanted.do_sample, wanted.temperature, wanted.top_k, wanted.top_p)
    predictor = _drawn(
        own.predictor,
        wanted.subtalker_dosample,
        wanted.subtalker_temperature,
        wanted.subtalker_top_k,
        wanted.subtalker_top_p,
    )
    penalty = own.repetition_penalty if wanted.repetition_penalty is None else wanted.repetition_penalty
    return Sampling(talker, predictor, penalty, seed, min_frames=max(2, least_frames(segment.text)))


def _drawn(
    own: SamplingDefaults, do_sample: bool | None, temperature: float | None, top_k: int | None, top_p: float | None
) -> SamplingDefaults:
    """`own` with what is given in its place; a temperature of 0 is the limit of low ones, no sampling at all."""
    return SamplingDefaults(
        temperature=temperature or own.temperature,
        top_k=own.top_k if top_k is None else top_k,
        top_p=own.top_p if top_p is None else top_p,
        greedy=temperature == 0 or (own.greedy if do_sample is None else not do_sample),
    )
