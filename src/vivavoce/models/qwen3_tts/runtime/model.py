"""A Qwen3-TTS checkpoint as a `Model`: segments in, samples out, one frame of every stream a step.

A stream is a slot of the language model's batch, the codes it has made and not yet sounded, and the
codec's memory of it. The first frame is sounded at once, later ones in larger chunks as the
listener's lead allows. On CUDA the host runs ahead of the device: a frame is asked for before the
codes of the one before it are read, and samples are collected a step after they were asked for,
unless their listener waits. It knows neither HTTP nor whole texts.
"""

import logging
import random
import time
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from vivavoce.errors import BadRequest, EngineFault, MissingDependency
from vivavoce.models.hardware import available_cores
from vivavoce.models.qwen3_tts import QwenOptions
from vivavoce.models.qwen3_tts.checkpoint.config import Config, SamplingDefaults, read_config
from vivavoce.models.qwen3_tts.checkpoint.folder import load_checkpoint
from vivavoce.models.qwen3_tts.codec import CodecDecoder, load_decoder, read_codec_config
from vivavoce.models.qwen3_tts.network.linear import item_bytes, numbers_between, stored_as
from vivavoce.models.qwen3_tts.network.sampler import Sampling
from vivavoce.models.qwen3_tts.prompt.cloning import ClonedVoice, Cloner
from vivavoce.models.qwen3_tts.prompt.incremental_text import LiveTurn
from vivavoce.models.qwen3_tts.prompt.layout import PromptRequest
from vivavoce.models.qwen3_tts.prompt.prefix_cache import Prefix
from vivavoce.models.qwen3_tts.prompt.voices import RATE_HZ, describe, language_codes
from vivavoce.models.qwen3_tts.runtime.codec_runner import CodecRunner
from vivavoce.models.qwen3_tts.runtime.cuda import CudaStream, HostCopy, finish
from vivavoce.models.qwen3_tts.runtime.device import (
    choose_device,
    choose_dtype,
    choose_form,
    release_memory,
    translate_oom,
)
from vivavoce.models.qwen3_tts.runtime.memory import (
    CODEC,
    MAX_FRAMES,
    MAX_REFERENCE_TOKENS,
    choose_slots,
    slot_positions,
)
from vivavoce.models.qwen3_tts.runtime.stop_rules import least_frames, most_frames
from vivavoce.models.qwen3_tts.runtime.stream import SegmentStream, Sound
from vivavoce.serving.base import GRAPH_LOCK, Model, clones_nothing
from vivavoce.types import (
    MAX_REFERENCE_CHARS,
    PreparedVoice,
    Reference,
    Samples,
    Segment,
    StopReason,
)

log = logging.getLogger(__name__)

_DEFAULTS = QwenOptions()


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """A frame that was asked for: its codes on their way, and the slot of each stream that is in it."""

    codes: HostCopy  # [rows, codebooks]
    slots: Mapping[SegmentStream, int]


class QwenModel(Model[SegmentStream]):
    """Speaks with the checkpoint in `folder`, segments of at most `max_frames` frames each.

    `name` is the folder's in lower case unless given.

    The codec is float32 always: it is small, and its output is what is heard. On CUDA, codes are
    read `lag` = 1 frame late and steps have `fixed` shapes, which graphs need. Elsewhere there are
    no graphs, and nothing is late. Neither changes what is said; `fixed` and `lag` are arguments so
    that a CPU can show it.

    Raises `MissingDependency` for absent files, `EngineFault` for broken ones or a device that is
    not there.
    """

    lanes = 1

    def __init__(
        self,
        folder: Path,
        options: QwenOptions = _DEFAULTS,
        *,
        name: str | None = None,
        max_frames: int = MAX_FRAMES,
        fixed: bool | None = None,
        lag: int | None = None,
    ) -> None:
        check_folder(folder)
        torch.set_num_threads(options.threads or available_cores())
        where = choose_device(options.device)
        numbers = choose_dtype(options.dtype, where)
        form = choose_form(options.weights, where, numbers)
        sizes = {
            "item_bytes": numbers_between(form, numbers).itemsize,
            "matrix_bytes": item_bytes(form, numbers),
        }
        self.max_batch = choose_slots(
            options.max_batch, folder, read_config(folder), where, **sizes, max_frames=max_frames
        )
        self._checkpoint = load_checkpoint(
            folder, where, numbers, form=form, text_device=torch.device("cpu")
        )
        on_cuda = where.type == "cuda"
        fixed = on_cuda and options.graphs != "off" if fixed is None else fixed
        self._lag = int(on_cuda) if lag is None else lag
        codec = _load_codec(folder / CODEC, where, self.config)
        self._cloner = (
            Cloner(folder, folder / CODEC, codec, where) if self.config.task == "base" else None
        )
        if on_cuda:
            torch.cuda.synchronize(where)  # what was loaded is there, whichever track asks for it
        self._talking = CudaStream(where, fixed=fixed)
        self._sounder = CodecRunner(codec, CudaStream(where, fixed=fixed), self.max_batch)
        self._max_frames = min(max_frames, self._checkpoint.config.generation.max_frames)
        with self._talking.current():
            positions = slot_positions(self.config, max_frames)
            self._batch = self._checkpoint.batch(self.max_batch, positions, self._talking)
        self._asked: deque[Asked] = (
            deque()
        )  # frames whose codes are not read yet, `lag` at most between two steps
        self._streams: set[SegmentStream] = set()  # those that hold a slot
        self._running: set[SegmentStream] = set()  # of these, those that the last step advanced
        self.info = describe(
            self.config, name or folder.resolve().name.lower(), str(where), stored_as(form, numbers)
        )
        self._device = where
        self._languages = language_codes(self.config)
        log.info("%r speaks %d segments at once on %s", self.info.name, self.max_batch, where)
        if on_cuda and options.graphs != "off":
            self._warm_up()  # later it would make those stutter who speak meanwhile

    @property
    def config(self) -> Config:
        """What the checkpoint says of itself."""
        return self._checkpoint.config

    @property
    def slots_taken(self) -> int:
        """Streams that hold a slot."""
        return len(self._streams)

    def open(self, segment: Segment) -> SegmentStream:
        with self._talking.current(), translate_oom():
            return self._open(segment)

    def step(
        self, streams: Sequence[SegmentStream], ahead_s: Sequence[float] = ()
    ) -> Sequence[Samples | StopReason]:
        with self._talking.current():
            return self._step(streams, ahead_s)

    def feed(self, stream: SegmentStream, text: str, *, last: bool) -> None:
        with self._talking.current():
            self._feed(stream, text, last=last)

    def close(self, stream: SegmentStream) -> None:
        with self._talking.current():
            self._free(stream)
        stream.codec.close()
        stream.pending.clear()
        stream.sounding.clear()

    def settle(self) -> None:
        """Wait until the device has done all that it was asked for; before its memory is given back, say."""
        self._talking.settle()
        self._sounder.settle()

    def _open(self, segment: Segment) -> SegmentStream:
        voice = self._voice(segment)
        request = self._request(segment, voice)
        # Unlike a model's own noise, a seed of our own choosing can be told in the log.
        seed = random.getrandbits(63) if segment.seed is None else segment.seed
        limit = min(segment.sampling.max_new_tokens or self._max_frames, self._max_frames)
        # Before a slot of the batch is taken, which a failure here would keep.
        codec = self._sounder.open(None if voice is None else voice.codec)
        stream = SegmentStream(segment, None, seed, limit, codec)
        try:
            if segment.live:
                stream.live = self._checkpoint.live_turn(request)
                self._feed(stream, segment.text, last=False)
            else:
                self._begin(stream, *self._checkpoint.shared_prompt(request))
                stream.limit = min(stream.limit, most_frames(segment.text))
        except BaseException:
            codec.close()
            raise
        return stream

    def _feed(self, stream: SegmentStream, text: str, *, last: bool) -> None:
        live = stream.live
        assert live is not None, "the text of a live stream grows, and no other"
        if stream.ending is not None:
            return
        if stream.starving:
            stream.resumed = stream.spoken
        new = live.add(text, last=last)
        if stream.slot is not None:
            read = [*new, self.config.text_ids.eos] if last else new
            self._batch.feed(stream.slot, self._checkpoint.embed_text(read))
            live.trailing += len(read)
        else:
            request = self._request(stream.segment, self._voice(stream.segment))
            if (prompt := self._checkpoint.live_prompt(request, live)) is not None:
                self._begin(stream, *prompt)
                live.trailing = len(prompt[1])
        if last:
            self._set_limits(stream, live)

    def starving(self, stream: SegmentStream) -> bool:
        return stream.starving

    def _step(
        self, streams: Sequence[SegmentStream], ahead_s: Sequence[float]
    ) -> Sequence[Samples | StopReason]:
        ended = {stream: stream.ending for stream in streams if stream.is_through}
        asked = {stream: len(stream.sounding) for stream in streams}
        lead = dict.fromkeys(streams, 0.0) | dict(zip(streams, ahead_s, strict=False))
        self._run_only({stream for stream in streams if stream.wants_frames})
        self._make_frame()
        self._sound(
            [stream for stream in streams if stream.is_due(lead[stream])], undo=len(streams) > 1
        )
        for stream in streams:
            if (
                not self._lag or lead[stream] <= 0
            ):  # whose listener waits gets what was only just asked for
                asked[stream] = len(stream.sounding)
        return [ended.get(stream) or stream.hand_over(asked[stream]) for stream in streams]

    def unload(self) -> None:
        self.settle()
        self._asked.clear()
        del (
            self._checkpoint,
            self._sounder,
            self._batch,
            self._talking,
            self._cloner,
        )  # the graphs, too
        with GRAPH_LOCK:  # no memory may be given back while another model captures a graph
            release_memory(self._device)

    def prepare(self, reference: Reference) -> PreparedVoice:
        if self._cloner is None:
            raise clones_nothing(self.info)
        text = reference.text or ""
        if len(text) > MAX_REFERENCE_CHARS:
            raise BadRequest(
                f"ref_text has {len(text):,} characters, the limit is {MAX_REFERENCE_CHARS:,}: send what is said in "
                "the recording and no more",
                field="ref_text",
            )
        tokens = len(self._checkpoint.tokenizer.encode(text))
        if tokens > MAX_REFERENCE_TOKENS:
            raise BadRequest(
                f"ref_text has {tokens} tokens, the limit is {MAX_REFERENCE_TOKENS}: send what is said in the "
                "recording and no more, or a shorter recording",
                field="ref_text",
            )
        voice = self._cloner.prepare(reference)
        finish(self._device)  # lanes read it without waiting
        return voice

    def _voice(self, segment: Segment) -> ClonedVoice | None:
        """Return the voice of the segment's recording; None for a checkpoint that has voices of its own."""
        if self._cloner is None:
            if segment.prepared is not None:
                raise clones_nothing(self.info)
            return None
        if segment.prepared is None:
            raise BadRequest(
                f"model {self.info.name!r} speaks with the voice of a recording: send one in ref_audio, and in "
                "ref_text what is said in it",
                field="ref_audio",
            )
        voice = segment.prepared
        if not isinstance(voice, ClonedVoice) or not self._cloner.owns(voice):
            raise BadRequest(
                f"the voice was not prepared by model {self.info.name!r} as it is loaded now: prepare it again",
                field="ref_audio",
            )
        return voice

    def _request(self, segment: Segment, voice: ClonedVoice | None) -> PromptRequest:
        config = self.config
        if config.task == "voice_design" and not segment.instruct:
            raise BadRequest(
                f"model {self.info.name!r} designs its voice from a description: say in instruct who speaks, and how",
                field="instruct",
            )
        speaker = segment.voice if config.task == "custom_voice" else None
        language, clone = self._languages[segment.language], None if voice is None else voice.clone
        return PromptRequest(
            segment.text, language, speaker, segment.instruct, clone, stream_text=segment.live
        )

    def _begin(
        self, stream: SegmentStream, prompt: Tensor, trailing: Tensor, prefix: Prefix
    ) -> None:
        """Give `stream` a slot, in which it has read `prompt` and will read `trailing`."""
        segment = stream.segment
        # Speech cannot end before its text can have been said: an end drawn too soon would leave
        # most of it out.
        least = self._batch.max_len if segment.live else max(2, least_frames(segment.text))
        stream.slot = self._batch.open(
            prompt, trailing, _sampling(self.config, segment, stream.seed, least), prefix
        )
        stream.limit = min(stream.limit, self._batch.room(stream.slot))
        self._streams.add(stream)
        self._running.add(stream)

    def _set_limits(self, stream: SegmentStream, live: LiveTurn) -> None:
        """Set how soon and how late a live stream may end, which its whole text says: not before it is read."""
        assert stream.slot is not None, "a complete text has begun"
        self._batch.set_min_frames(stream.slot, max(2, least_frames(live.text), live.trailing))
        stream.limit = min(stream.limit, max(most_frames(live.text), live.trailing))

    def _run_only(self, streams: set[SegmentStream]) -> None:
        """Leave out of the batch's steps whoever is not among `streams`: its listener has enough for now."""
        for stream in self._running - streams:
            if stream.slot is not None:
                self._batch.pause(stream.slot)
        for stream in streams - self._running:
            assert stream.slot is not None, "the caller has left out what has ended"
            self._batch.resume(stream.slot)
        self._running = streams

    def _make_frame(self) -> None:
        """Ask for a frame of every running stream, and takes the codes of the one asked for `lag` steps ago."""
        behind = self._lag if self._running else 0
        if self._running:
            slots = {stream: stream.slot for stream in self._running if stream.slot is not None}
            with (
                translate_oom()
            ):  # it leaves all as it was: they can be stepped again, fewer at a time
                frame = self._batch.step()
            self._asked.append(Asked(self._talking.land(frame.codes), slots))
            for stream in slots:
                stream.making += 1
        while len(self._asked) > behind:
            self._take(self._asked.popleft())

    def _take(self, asked: Asked) -> None:
        """Give every stream its codes, and frees the slots of those that are through."""
        codes = asked.codes.wait()  # the only wait for the talker
        first = codes[:, 0].tolist()
        for stream, slot in asked.slots.items():
            stream.making -= 1
            if stream.slot is None:
                continue  # it ended or was closed before this frame
            stream.take(first[slot], codes[slot], eos=self.config.codec_ids.eos)
            if stream.ending is not None:
                self._free(stream)
                stream.log_ending()

    def _free(self, stream: SegmentStream) -> None:
        self._streams.discard(stream)
        self._running.discard(stream)
        if stream.slot is not None:
            self._batch.close(stream.slot)
            stream.slot = None

    def _sound(self, due: Sequence[SegmentStream], *, undo: bool) -> None:
        """Begin to sound the pending frames of every stream that is `due`, streams with as many
        frames together.

        With `undo` what finds no memory is as it was, and can be sounded again, beside fewer.
        """
        groups: dict[int, list[SegmentStream]] = defaultdict(list)
        for stream in due:
            groups[len(stream.pending)].append(stream)
        for frames, group in groups.items():
            with translate_oom():
                together = torch.stack([codes for stream in group for codes in stream.pending])
                codes = together.view(len(group), frames, -1).transpose(
                    1, 2
                )  # [group, codebooks, frames]
                landing = self._sounder.sound(codes, [stream.codec for stream in group], undo=undo)
            for row, stream in enumerate(group):
                stream.sounding.append(Sound(landing, row, frames))
                stream.pending.clear()

    def _warm_up(self) -> None:
        """Capture every graph that may be needed, and says so in the log."""
        start_s = time.monotonic()
        with self._talking.current():
            self._batch.warm_up()
        self._sounder.warm_up()
        log.info(
            "%r captured its CUDA graphs in %.1f s", self.info.name, time.monotonic() - start_s
        )


def check_folder(folder: Path) -> None:
    """Raise `MissingDependency`, with what to do, if there is no checkpoint in `folder`."""
    if not (folder / "config.json").is_file():
        what = "has no config.json" if folder.is_dir() else "is not there"
        raise MissingDependency(
            f"the Qwen3-TTS checkpoint {str(folder)!r} {what}: download a whole checkpoint, such as "
            "Qwen/Qwen3-TTS-12Hz-0.6B-CustomVoice, into a folder, and name that folder in the setting 'qwen'"
        )


def _load_codec(folder: Path, device: torch.device, config: Config) -> CodecDecoder:
    """Return the codec of a checkpoint.

    Raises `EngineFault` if it is not the one that the language model speaks in.
    """
    codec = read_codec_config(folder)
    decoder = codec.decoder
    entries = max(
        config.code_vocab_size, min(config.suppressed_tokens, default=config.codec_vocab_size)
    )
    if decoder.num_quantizers != config.codebooks or decoder.codebook_size < entries:
        raise EngineFault(
            f"{str(folder)!r} decodes {decoder.num_quantizers} codebooks of {decoder.codebook_size}, the checkpoint "
            f"speaks in {config.codebooks} of {entries}: they do not belong together, fetch the checkpoint again"
        )
    if codec.sample_rate_hz != RATE_HZ:
        raise EngineFault(
            f"{str(folder)!r} decodes to {codec.sample_rate_hz} Hz, this engine to {RATE_HZ}"
        )
    return load_decoder(folder, device, torch.float32)


def _sampling(config: Config, segment: Segment, seed: int, min_frames: int) -> Sampling:
    """How to draw the codes of `segment`: the checkpoint's own way where the request does not say."""
    wanted, own = segment.sampling, config.generation
    talker = _drawn(own.talker, wanted.do_sample, wanted.temperature, wanted.top_k, wanted.top_p)
    predictor = _drawn(
        own.predictor,
        wanted.subtalker_dosample,
        wanted.subtalker_temperature,
        wanted.subtalker_top_k,
        wanted.subtalker_top_p,
    )
    penalty = (
        own.repetition_penalty if wanted.repetition_penalty is None else wanted.repetition_penalty
    )
    return Sampling(talker, predictor, penalty, seed, min_frames)


def _drawn(
    own: SamplingDefaults,
    do_sample: bool | None,
    temperature: float | None,
    top_k: int | None,
    top_p: float | None,
) -> SamplingDefaults:
    """Return `own` with what is given in its place; a temperature of 0 is the limit of low ones, no sampling at all."""
    return SamplingDefaults(
        temperature=temperature or own.temperature,
        top_k=own.top_k if top_k is None else top_k,
        top_p=own.top_p if top_p is None else top_p,
        greedy=temperature == 0 or (own.greedy if do_sample is None else not do_sample),
    )
