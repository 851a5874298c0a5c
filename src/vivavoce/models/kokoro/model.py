"""Speak seven languages with Kokoro-82M on onnxruntime, on any CPU.

- A segment is converted to phonemes, which are cut into runs that the network can take.
- A step reads a run, speaks a window of it, or does half of the work for a short one.
- `g2p` converts text to phonemes. `network` runs the network, which `graph` makes fast.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from vivavoce.errors import EngineFault, MissingDependency, Unsupported, VivavoceError
from vivavoce.models.hardware import available_cores
from vivavoce.models.kokoro.assets import MODEL, VOCABULARY, VOICES
from vivavoce.models.kokoro.ends import RATE_HZ, RunEnds
from vivavoce.models.kokoro.g2p import Phonemizer
from vivavoce.models.kokoro.g2p.spans import Span, owners
from vivavoce.models.kokoro.measures import Points, Styles, VoiceMeasures
from vivavoce.models.kokoro.mixes import KEPT, mix
from vivavoce.models.kokoro.network import (
    FRAME_SAMPLES,
    PULL,
    REMEDY,
    Half,
    Network,
    VocoderRun,
    interpolate,
)
from vivavoce.models.kokoro.times import phones
from vivavoce.models.kokoro.voices import ALIASES, DEFAULT_VOICES, STYLES, style_of, voices
from vivavoce.serving.base import Model, unreadable
from vivavoce.types import AudioChunk, Capabilities, EngineInfo, Samples, Segment, StopReason
from vivavoce.voices.formula import is_formula

STYLE_ROWS, STYLE_SIZE = 510, 256
# The network takes 510 tokens. Half of that is about 15 s of speech.
# With longer runs the network speaks too fast.
RUN_TOKENS = 250
MAX_LANES = 4  # each lane needs its own memory; further cores help inside a run
BREAKS = (".!?…", ";:,—", " ")  # breaks at which a run may end, the best first

# In frames of 12.5 ms. A run of up to `WHOLE` is spoken at once, with its own norms: so short, it
# differs too much from the voice's usual ones.
WHOLE = 160
FIRST_WINDOW, WINDOW = 32, 56
LEAD = 16  # before the end of the first silence; speech was found to begin up to 10 before it
NOTHING: Samples = np.zeros(0, np.float32)
# Of the last phone of a run, whose duration counts the silence after it too. Sound was found to end
# 0.05 s after its start (median of 30 sentences in six languages, 0.11 s at most 19 times of 20).
LAST_S = 0.05


@dataclass(frozen=True, slots=True)
class _Symbols:
    """The phonemes of a run that the network knows, each with the span of its word."""

    text: str
    ids: list[int]
    spans: list[Span]


@dataclass(eq=False, slots=True)
class _KokoroStream:
    runs: Iterator[_Symbols]
    style: str
    styles: Styles
    points: Points | None = None  # of a mix
    run: VocoderRun | None = None  # the one that is spoken
    half: Half | None = None  # of that run, if it is a short one
    place: int = 0  # its next frame
    ends: RunEnds = field(default_factory=RunEnds)  # of that run
    symbols: _Symbols | None = None  # of that run, until their times are told
    given: int = 0  # samples


class KokoroModel(Model[_KokoroStream]):
    """Kokoro-82M, which works for one stream a step, the one whose listener has the least audio.

    A run is read in one step. A short one is spoken in two further steps, a longer one in windows
    of frames, one a step. Up to `lanes` concurrent steps share the weights. `folder` holds
    `model.onnx`, `vocab.json` and `voices/`. `threads` is the number of CPU threads, None for the
    available cores. Raises `MissingDependency` for absent files or packages, `EngineFault` for
    broken files.
    """

    max_batch = 8  # a stream in a lane costs up to 10 MB, and no time while others need it more

    def __init__(self, folder: Path, *, threads: int | None = None) -> None:
        threads = threads or available_cores()
        self.lanes = min(threads, MAX_LANES)
        self._vocabulary = _read_vocabulary(folder / VOCABULARY)
        self.styles = _read_styles(folder / VOICES)
        self.network = Network(folder / MODEL, threads, self.lanes)
        self.measures = VoiceMeasures(self.network, folder / MODEL, self._vocabulary)
        mixed = partial(mix, styles=self.styles, measures=self.measures)
        self._mix = lru_cache(KEPT)(mixed)
        self._phonemizer, self._british = Phonemizer(), Phonemizer(british=True)
        self.info = _info(self._phonemizer.languages)
        if "en" in self.info.languages:
            self._phonemizer.phonemize("Warm up.", "en")  # loads the lexicon

    def measure_voices(self, report: Callable[[int, int], None]) -> None:
        """Measure and store the voices that are not yet. `report` gets the done and all."""
        self.measures.prepare(self.styles, report)

    def open(self, segment: Segment) -> _KokoroStream:
        mixed = self._mix(segment.voice) if is_formula(segment.voice) else None
        style = style_of(segment.voice) if mixed is None else mixed.leading
        phonemizer = self._british if style.startswith("b") else self._phonemizer
        try:
            phonemes = phonemizer.phonemize(segment.text, segment.language, segment.phonemes)
        except (VivavoceError, MemoryError):
            raise
        except Exception as error:  # the packages document none; the cause is the text
            raise unreadable("kokoro", segment.text) from error
        spans = owners(
            phonemes,
            segment.text,
            segment.language,
            lambda word: phonemizer.phonemize(word, segment.language),
        )
        runs = list(self._runs(phonemes, spans))
        if not runs:
            raise Unsupported(
                f"'kokoro' found nothing to say in {segment.text!r} as language "
                f"{segment.language!r}; choose the language that the text is written in",
                field="text",
            )
        if mixed is not None:
            return _KokoroStream(iter(runs), style, mixed.styles, mixed.points)
        return _KokoroStream(iter(runs), style, self.styles[style])

    def _runs(self, phonemes: str, spans: Sequence[Span]) -> Iterator[_Symbols]:
        """Yield the runs that have a sound, without symbols that the network does not know."""
        known, end = self._vocabulary, 0
        for run in split_phonemes(phonemes, RUN_TOKENS):
            start = phonemes.index(run, end)
            end = start + len(run)
            if any(map(str.isalpha, run)):
                kept = [at for at in range(start, end) if phonemes[at] in known]
                symbols = "".join(phonemes[at] for at in kept)
                yield _Symbols(symbols, [known[s] for s in symbols], [spans[at] for at in kept])

    def step(
        self, streams: Sequence[_KokoroStream], ahead_s: Sequence[float] = ()
    ) -> Sequence[Samples | AudioChunk | StopReason]:
        results: list[Samples | AudioChunk | StopReason] = [NOTHING] * len(streams)
        if streams:
            ahead = ahead_s or [0.0] * len(streams)
            neediest = min(range(len(streams)), key=lambda place: ahead[place])
            results[neediest] = self._advance(streams[neediest])
        return results

    def _advance(self, stream: _KokoroStream) -> Samples | AudioChunk | StopReason:
        """Read the next run, or speak the next window of the present one."""
        if stream.run is None:
            symbols = next(stream.runs, None)
            return StopReason.COMPLETE if symbols is None else self._begin(stream, symbols)
        if stream.run.length <= WHOLE:
            return self._speak_whole(stream, stream.run)
        run, start = stream.run, stream.place
        stop = window_stop(run, start)
        if stream.points is not None:
            measures = interpolate(stream.points, run.silence)
        else:
            measures = self.measures.of(stream.style, stream.styles, run.silence)
        audio = self.network.window(run, measures, start, stop)
        stream.place = stop
        last = stop == run.length
        if last:
            stream.run = None
        return _timed(stream, run, stream.ends.push(audio, last=last), first_frame(run))

    def _begin(self, stream: _KokoroStream, symbols: _Symbols) -> Samples:
        run = self.network.read(symbols.ids, stream.styles[len(symbols.ids) - 1])
        stream.ends, stream.symbols = RunEnds(), symbols
        stream.run, stream.place = run, first_frame(run)
        return NOTHING

    def _speak_whole(self, stream: _KokoroStream, run: VocoderRun) -> Samples | AudioChunk:
        """Do the next half of the work for a run that is spoken at once."""
        if stream.half is None:
            stream.half = self.network.first_half(run)
            return NOTHING
        audio, _ = self.network.second_half(run, stream.half)
        stream.run = stream.half = None
        return _timed(stream, run, stream.ends.push(audio, last=True), 0)


def _timed(
    stream: _KokoroStream, run: VocoderRun, audio: Samples, start: int
) -> Samples | AudioChunk:
    """Return `audio`, with the phones of its run if it is the first of it that is heard.

    The run is heard from the frame `start` on, without what its ends drop.
    """
    symbols, before = stream.symbols, stream.given
    stream.given += audio.size
    if symbols is None or not audio.size:
        return audio
    stream.symbols = None
    begin = before - start * FRAME_SAMPLES - stream.ends.dropped
    found = phones(symbols.text, symbols.spans, run.durations.tolist(), begin / RATE_HZ)
    if found:
        last = found[-1]
        found[-1] = replace(last, end_s=min(last.end_s, last.start_s + LAST_S))
    return AudioChunk(audio, tuple(found))


def first_frame(run: VocoderRun) -> int:
    """Return the frame from which a run is heard. The silence before it need not be computed."""
    return max(2 * int(run.durations[0]) - LEAD, 0)


def window_stop(run: VocoderRun, start: int) -> int:
    """Return the end of the window of frames that begins at `start`."""
    stop = start + (FIRST_WINDOW if start == first_frame(run) else WINDOW)
    # No last window that costs more than it gives.
    return run.length if run.length - stop < WINDOW // 2 else stop


def split_phonemes(phonemes: str, limit: int) -> Iterator[str]:
    """Yield `phonemes` in runs of at most `limit` symbols.

    A run ends at the end of a sentence, else at the end of a clause, else at a space.
    """
    rest = phonemes.strip()
    while len(rest) > limit:
        cut = _cut(rest[:limit])
        yield rest[:cut].strip()
        rest = rest[cut:].strip()
    if rest:
        yield rest


def _cut(window: str) -> int:
    """Return the next run's length: to the last of the best breaks beyond a third, else all."""
    for marks in BREAKS:
        at = max(window.rfind(mark) for mark in marks)
        if at >= len(window) // 3:
            return at + 1
    return len(window)


def _info(readable: Sequence[str]) -> EngineInfo:
    languages = tuple(language for language in DEFAULT_VOICES if language in readable)
    return EngineInfo(
        name="kokoro",
        sample_rate_hz=RATE_HZ,
        languages=languages,
        voices=voices(),
        capabilities=Capabilities(deterministic=True, phonemes=True, timed=True, mixes=True),
        aliases=ALIASES,
        default_voices={language: DEFAULT_VOICES[language] for language in languages},
        max_segment_chars=200,
        description="Natural voices in seven languages on one CPU core, faster than real time.",
        licence="Apache-2.0",
        reads="words",
    )


def _require(path: Path) -> None:
    if not path.is_file():
        raise MissingDependency(f"the Kokoro file {str(path)!r} is absent; {PULL}")


def _read_vocabulary(path: Path) -> Mapping[str, int]:
    _require(path)
    try:
        vocabulary = json.loads(path.read_text("utf-8"))["vocab"]
        return {str(symbol): int(number) for symbol, number in vocabulary.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as broken:
        problem = f"the Kokoro file {str(path)!r} is not a vocabulary; {REMEDY}"
        raise EngineFault(problem) from broken


def _read_styles(folder: Path) -> Mapping[str, Styles]:
    """Return the styles by name, mapped from their files. Only the rows in use take memory."""
    styles: dict[str, Styles] = {}
    for name in STYLES:
        path = folder / f"{name}.bin"
        _require(path)
        if path.stat().st_size != STYLE_ROWS * STYLE_SIZE * 4:
            raise EngineFault(f"the Kokoro voice {str(path)!r} is not whole; {REMEDY}")
        styles[name] = np.memmap(path, np.float32, "r", shape=(STYLE_ROWS, 1, STYLE_SIZE))
    return styles
