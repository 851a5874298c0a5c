"""Run a Qwen3-TTS checkpoint as a `Model`, one frame of every stream a step.

A stream is a slot of the language model's batch, its codes that are not decoded yet, and the
codec's memory of it. It knows neither HTTP nor whole texts.

- The first frame is decoded at once, later ones in larger chunks as the listener's buffer allows.
- On CUDA the host runs ahead of the device. A frame is requested before the codes of the one before
  it are read. Samples are collected a step after they were requested, unless their listener waits.
"""

import logging
import random
import time
from collections import defaultdict, deque
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from vivavoce.errors import BadRequest
from vivavoce.models.hardware import available_cores
from vivavoce.models.qwen3_tts import QwenOptions
from vivavoce.models.qwen3_tts.advice import warn_if_slow
from vivavoce.models.qwen3_tts.checkpoint.config import Config, read_config
from vivavoce.models.qwen3_tts.checkpoint.folder import (
    check_folder,
    load_checkpoint,
    load_codec,
)
from vivavoce.models.qwen3_tts.network.linear import item_sizes, stored_as
from vivavoce.models.qwen3_tts.prompt.cloning import ClonedVoice, Cloner
from vivavoce.models.qwen3_tts.prompt.incremental_text import LiveTurn
from vivavoce.models.qwen3_tts.prompt.layout import PromptRequest
from vivavoce.models.qwen3_tts.prompt.prefix_cache import Prefix
from vivavoce.models.qwen3_tts.prompt.voices import describe, language_codes
from vivavoce.models.qwen3_tts.runtime.codec_runner import CodecRunner
from vivavoce.models.qwen3_tts.runtime.cuda import CudaStream, finish
from vivavoce.models.qwen3_tts.runtime.device import (
    choose_numbers,
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
from vivavoce.models.qwen3_tts.runtime.sampling import segment_sampling
from vivavoce.models.qwen3_tts.runtime.stop_rules import least_frames, most_frames
from vivavoce.models.qwen3_tts.runtime.stream import RequestedFrame, RowCopy, SegmentStream
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


class QwenModel(Model[SegmentStream]):
    """Model of the checkpoint in `folder`, for segments of at most `max_frames` frames each.

    `name` is by default the folder's in lower case. On CUDA, codes are read `lag` = 1 frame late
    and steps have `fixed` shapes, which graphs need. Elsewhere there are no graphs, and nothing is
    late. Neither changes the speech. `fixed` and `lag` are arguments so that a CPU can show it.
    Raises `MissingDependency` for absent files, `EngineFault` for damaged ones or an unavailable
    device.
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
        where, numbers, form = choose_numbers(options)
        sizes = item_sizes(form, numbers)
        self.max_batch = choose_slots(
            options.max_batch, folder, read_config(folder), where, **sizes, max_frames=max_frames
        )
        self._checkpoint = load_checkpoint(
            folder, where, numbers, form=form, text_device=torch.device("cpu")
        )
        on_cuda = where.type == "cuda"
        fixed = on_cuda and options.graphs != "off" if fixed is None else fixed
        self._lag = int(on_cuda) if lag is None else lag
        codec = load_codec(folder / CODEC, where, self.config, options.codec_precision)
        self._cloner = (
            Cloner(folder, folder / CODEC, codec, where) if self.config.task == "base" else None
        )
        if on_cuda:
            torch.cuda.synchronize(where)  # every CUDA stream can read the loaded weights
        self._talker_stream = CudaStream(where, fixed=fixed)
        self._codec_runner = CodecRunner(codec, CudaStream(where, fixed=fixed), self.max_batch)
        self._max_frames = min(max_frames, self._checkpoint.config.generation.max_frames)
        with self._talker_stream.current():
            positions = slot_positions(self.config, max_frames)
            self._batch = self._checkpoint.batch(self.max_batch, positions, self._talker_stream)
        # Frames whose codes are not read yet, `lag` at most between two steps.
        self._requested: deque[RequestedFrame] = deque()
        self._streams: set[SegmentStream] = set()  # that hold a slot
        self._running: set[SegmentStream] = set()  # of these, advanced by the last step
        self.info = describe(
            self.config, name or folder.resolve().name.lower(), str(where), stored_as(form, numbers)
        )
        self._device = where
        self._languages = language_codes(self.config)
        log.info("%r speaks %d segments at once on %s", self.info.name, self.max_batch, where)
        if on_cuda and options.graphs != "off":
            self._warm_up()  # later it would interrupt running streams
        elif where.type == "cpu":
            self._batch.fit_piece(pace := self._batch.pace())
            if options.weights == "auto":
                warn_if_slow(self.info, pace + self._codec_runner.pace())

    @property
    def config(self) -> Config:
        """Configuration of the checkpoint."""
        return self._checkpoint.config

    @property
    def slots_taken(self) -> int:
        """Streams that hold a slot."""
        return len(self._streams)

    def open(self, segment: Segment) -> SegmentStream:
        with self._talker_stream.current(), translate_oom():
            return self._open(segment)

    def step(
        self, streams: Sequence[SegmentStream], ahead_s: Sequence[float] = ()
    ) -> Sequence[Samples | StopReason]:
        with self._talker_stream.current():
            return self._step(streams, ahead_s)

    def feed(self, stream: SegmentStream, text: str, *, last: bool) -> None:
        with self._talker_stream.current():
            self._feed(stream, text, last=last)

    def close(self, stream: SegmentStream) -> None:
        with self._talker_stream.current():
            self._free(stream)
        stream.codec.close()
        stream.pending.clear()
        stream.decoding.clear()

    def synchronize(self) -> None:
        """Wait until the device has done all queued work."""
        self._talker_stream.synchronize()
        self._codec_runner.synchronize()

    def _open(self, segment: Segment) -> SegmentStream:
        voice = self._voice(segment)
        request = self._request(segment, voice)
        # A chosen seed can be logged, unlike the state of a generator.
        seed = random.getrandbits(63) if segment.seed is None else segment.seed
        limit = min(segment.sampling.max_new_tokens or self._max_frames, self._max_frames)
        # Opened before a slot of the batch, which a failure here would leak.
        codec = self._codec_runner.open(None if voice is None else voice.codec)
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
        requested = {stream: len(stream.decoding) for stream in streams}
        lead = dict.fromkeys(streams, 0.0) | dict(zip(streams, ahead_s, strict=False))
        wanting = {stream: stream.slot for stream in streams if stream.wants_frames}
        with translate_oom():
            self._batch.read_prompts([slot for slot in wanting.values() if slot is not None])
        self._run_only({stream for stream, slot in wanting.items() if not self._batch.joins(slot)})
        self._request_frame()
        self._decode_due(
            [stream for stream in streams if stream.is_due(lead[stream])], undo=len(streams) > 1
        )
        for stream in streams:
            if not self._lag or lead[stream] <= 0:
                # A listener with an empty buffer also gets the audio requested in this step.
                requested[stream] = len(stream.decoding)
        return [ended.get(stream) or stream.hand_over(requested[stream]) for stream in streams]

    def unload(self) -> None:
        self.synchronize()
        self._requested.clear()
        # The graphs, too.
        del self._checkpoint, self._codec_runner, self._batch, self._talker_stream, self._cloner
        with GRAPH_LOCK:  # no memory may be released while another model captures a graph
            release_memory(self._device)

    def prepare(self, reference: Reference) -> PreparedVoice:
        if self._cloner is None:
            raise clones_nothing(self.info)
        text = reference.text or ""
        if len(text) > MAX_REFERENCE_CHARS:
            raise BadRequest(
                f"ref_text has {len(text):,} characters, the limit is {MAX_REFERENCE_CHARS:,}: "
                "send what is said in the recording and no more",
                field="ref_text",
            )
        tokens = len(self._checkpoint.tokenizer.encode(text))
        if tokens > MAX_REFERENCE_TOKENS:
            raise BadRequest(
                f"ref_text has {tokens} tokens, the limit is {MAX_REFERENCE_TOKENS}: send what is "
                "said in the recording and no more, or a shorter recording",
                field="ref_text",
            )
        voice = self._cloner.prepare(reference)
        finish(self._device)  # lanes use it without waiting
        return voice

    def _voice(self, segment: Segment) -> ClonedVoice | None:
        """Return the voice of the segment's recording.

        It is None for a checkpoint with its own voices.
        """
        if self._cloner is None:
            if segment.prepared is not None:
                raise clones_nothing(self.info)
            return None
        if segment.prepared is None:
            raise BadRequest(
                f"model {self.info.name!r} speaks with the voice of a recording: send one in "
                "ref_audio, and in ref_text what is said in it",
                field="ref_audio",
            )
        voice = segment.prepared
        if not isinstance(voice, ClonedVoice) or not self._cloner.owns(voice):
            raise BadRequest(
                f"the voice was not prepared by model {self.info.name!r} as it is loaded now: "
                "prepare it again",
                field="ref_audio",
            )
        return voice

    def _request(self, segment: Segment, voice: ClonedVoice | None) -> PromptRequest:
        config = self.config
        if config.task == "voice_design" and not segment.instruct:
            raise BadRequest(
                f"model {self.info.name!r} designs its voice from a description: say in instruct "
                "who speaks, and how",
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
        """Open a slot for `stream` with `prompt`, and `trailing` to read while it speaks."""
        segment = stream.segment
        # Speech cannot end before its text can have been spoken. An end drawn too soon would leave
        # most of it out.
        least = self._batch.max_len if segment.live else max(2, least_frames(segment.text))
        stream.slot = self._batch.join(
            prompt, trailing, segment_sampling(self.config, segment, stream.seed, least), prefix
        )
        stream.limit = min(stream.limit, self._batch.room(stream.slot))
        self._streams.add(stream)

    def _set_limits(self, stream: SegmentStream, live: LiveTurn) -> None:
        """Set the least and most frames of a live stream whose whole text is known.

        It cannot end before the text is read.
        """
        assert stream.slot is not None, "a complete text has begun"
        self._batch.set_min_frames(stream.slot, max(2, least_frames(live.text), live.trailing))
        stream.limit = min(stream.limit, max(most_frames(live.text), live.trailing))

    def _run_only(self, streams: set[SegmentStream]) -> None:
        """Pause all streams but `streams` in the batch's steps."""
        for stream in self._running - streams:
            if stream.slot is not None:
                self._batch.pause(stream.slot)
        for stream in streams - self._running:
            assert stream.slot is not None, "ended streams are left out by the caller"
            self._batch.resume(stream.slot)
        self._running = streams

    def _request_frame(self) -> None:
        """Request a frame of every running stream, and read the codes requested `lag` steps ago."""
        behind = self._lag if self._running else 0
        if self._running:
            slots = {stream: stream.slot for stream in self._running if stream.slot is not None}
            # A failure changes nothing: they can be stepped again, fewer at a time.
            with translate_oom():
                frame = self._batch.step()
            self._requested.append(
                RequestedFrame(self._talker_stream.copy_to_host(frame.codes), slots)
            )
            for stream in slots:
                stream.making += 1
        while len(self._requested) > behind:
            self._take(self._requested.popleft())

    def _take(self, requested: RequestedFrame) -> None:
        """Give every stream its codes, and free the slots of those that have ended."""
        codes = requested.codes.wait()  # the only wait for the talker
        first = codes[:, 0].tolist()
        for stream, slot in requested.slots.items():
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

    def _decode_due(self, due: Sequence[SegmentStream], *, undo: bool) -> None:
        """Begin to decode the pending frames of every stream that is `due`.

        Streams with as many frames are decoded together. With `undo`, what finds no memory is
        unchanged, and can be decoded again beside fewer streams.
        """
        groups: dict[int, list[SegmentStream]] = defaultdict(list)
        for stream in due:
            groups[len(stream.pending)].append(stream)
        for frames, group in groups.items():
            with translate_oom():
                together = torch.stack([codes for stream in group for codes in stream.pending])
                # [group, codebooks, frames]
                codes = together.view(len(group), frames, -1).transpose(1, 2)
                host_copy = self._codec_runner.decode(
                    codes, [stream.codec for stream in group], undo=undo
                )
            for row, stream in enumerate(group):
                stream.decoding.append(RowCopy(host_copy, row, frames))
                stream.pending.clear()

    def _warm_up(self) -> None:
        """Capture every graph that may be needed, and log the time taken."""
        start_s = time.monotonic()
        with self._talker_stream.current():
            self._batch.warm_up()
        self._codec_runner.warm_up()
        log.info(
            "%r captured its CUDA graphs in %.1f s", self.info.name, time.monotonic() - start_s
        )
