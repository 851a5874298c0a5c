"""Define the values that cross layers: requests, segments, voices, chunks.

- All are frozen and have no behaviour.
- Audio is float32 mono in [-1, 1]. Other forms exist only in `audio.encode` and `audio.decode`.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

MAX_INSTRUCT_CHARS = 2_000  # about 500 tokens, which fit into a slot of Qwen3-TTS
MAX_REFERENCE_CHARS = 5_000  # ten times the text that fits into 30 s of speech

Samples: TypeAlias = NDArray[np.float32]  # [n], mono, in [-1, 1]
AudioFormat = Literal["wav", "pcm", "mp3", "opus", "aac", "flac", "m4a", "ulaw", "alaw"]
FinishReason = Literal["complete", "retried", "truncated", "cancelled", "error"]  # of a request
InputType = Literal["auto", "text", "ssml"]  # "auto": SSML if it begins with <speak
Reads = Literal["words", "text"]  # a model's input: all in words, or as authors write
Gender = Literal["female", "male", "neutral"]
Priority = Literal["interactive", "batch"]
Timestamps = Literal["word", "phone", "char"]
# Where times come from, the best first: the model's own durations, the sounds that are heard in the
# audio, or the spelling and the audible part.
Timing = Literal["model", "aligned", "estimated"]
Need = Literal["instruct", "reference"]  # a required input of some models
Task = Literal["custom_voice", "voice_design", "base"]  # the training task of a Qwen3-TTS model


class StopReason(Enum):
    """The reason why a segment's audio ended. All but `COMPLETE` mean that it was cut."""

    COMPLETE = "complete"
    LENGTH = "length"  # longer than is plausible for the text, or than the request allows
    REPETITION = "repetition"  # the model repeated itself
    NOISE = "noise"  # not finite, or far beyond full scale
    SILENCE = "silence"  # no sound, although the text has words


@dataclass(frozen=True, slots=True)
class Voice:
    """One speaker of one model."""

    id: str
    name: str
    languages: tuple[str, ...]  # ISO 639-1 codes, the native one first
    gender: Gender = "neutral"
    listed: bool = True  # False: accepted and shown by /v1/audio/voices, not by /v1/tts/speakers
    description: str = ""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """The optional features of a model. The response names others that were asked for."""

    instruct: bool = False
    seed: bool = False
    deterministic: bool = False  # the same text, voice and seed give the same samples
    sampling: bool = False  # honours `SamplingOptions`
    live_text: bool = False  # speaks an incomplete text (`Segment.live`)
    clones: bool = False  # speaks with the voice of a `Reference`
    mixes: bool = False  # speaks with a mix of its voices (`voices.formula`)
    phonemes: bool = False  # says IPA (`Segment.phonemes`)
    timed: bool = False  # tells when it says what (`AudioChunk.phones`)
    needs: Need | None = None  # a request without it is refused, and `auto` skips the model


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """The description of a model, for lists, routing and validation."""

    name: str
    sample_rate_hz: int
    languages: tuple[str, ...]  # ISO 639-1 codes
    voices: tuple[Voice, ...]
    capabilities: Capabilities = Capabilities()
    task: Task | None = None
    aliases: Mapping[str, str] = field(default_factory=dict)  # other names, lower case → Voice.id
    # language → Voice.id; otherwise the first native voice
    default_voices: Mapping[str, str] = field(default_factory=dict)
    reads: Reads = "text"
    max_segment_chars: int = 250
    max_live_chars: int = 0  # of the whole text of a live segment
    description: str = ""
    licence: str = ""


@dataclass(frozen=True, slots=True)
class SamplingOptions:
    """Sampling parameters of a language model, named as in generation_config.json.

    `None` is the model's default. `subtalker_` parameters are for the code predictor, the others
    for the talker. `max_new_tokens` limits the frames of each segment.
    """

    do_sample: bool | None = None  # False: always the most likely code
    temperature: float | None = None
    top_k: int | None = None  # 0: all
    top_p: float | None = None
    repetition_penalty: float | None = None
    subtalker_dosample: bool | None = None
    subtalker_temperature: float | None = None
    subtalker_top_k: int | None = None
    subtalker_top_p: float | None = None
    max_new_tokens: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """A recording of the voice to speak with. With its transcript, `text`, it can be a prompt.

    `file` is that of a saved one. A model may keep what it makes of it beside the file.
    """

    samples: Samples
    sample_rate_hz: int
    text: str | None = None
    file: Path | None = None


class PreparedVoice(Protocol):
    """A model's own form of a `Reference`'s voice, opaque to all other code."""


@dataclass(frozen=True, slots=True)
class QueueHints:
    """A request's hints for the queue of a model, the same for all its segments."""

    audio_s: float = 0.0  # total length of the speech, predicted from its text
    priority: Priority = "interactive"
    caller: str = ""  # for fair queuing between callers; "": unknown
    timeout_s: float = math.inf  # until the audio is useless


@dataclass(frozen=True, slots=True)
class Pronunciation:
    """A rule of a lexicon: `word`, a word or phrase, is said as `alias` or as the sounds `ipa`.

    With both, models that take no sounds say the alias. `language` and `voice` limit the rule.
    """

    word: str
    alias: str | None = None
    ipa: str | None = None
    language: str | None = None  # ISO 639-1 code
    case: bool = False  # only in the given upper and lower case
    voice: str | None = None


@dataclass(frozen=True, slots=True)
class SpeechInput:
    """One part of a dialogue. `None`: as the request says, else the server chooses."""

    text: str
    speaker: str | None = None
    language: str | None = None  # ISO 639-1 code
    instruct: str | None = None
    pause_s: float | None = None  # after the part; None: as after a sentence


@dataclass(frozen=True, slots=True)
class SpeechRequest:
    """One request for speech with every default filled in. `None`: the server chooses."""

    text: str
    input_type: InputType = "auto"
    normalize: bool = False  # write numbers out in words also for models that read them
    model: str = "auto"
    speaker: str | None = None
    language: str | None = None  # ISO 639-1 code
    likely_language: str | None = None  # of a text in doubt, None: the server's default
    task: Task | None = None  # None: any model
    instruct: str | None = None
    speed: float = 1.0
    pitch: float = 1.0  # 2.0 is an octave higher; formants move with it
    seed: int | None = None
    sampling: SamplingOptions = SamplingOptions()
    reference: Reference | None = None  # the voice to speak with, instead of a speaker
    pronunciations: tuple[Pronunciation, ...] = ()  # above the server's lexicon
    timestamps: Timestamps | None = None  # which times the client wants
    inputs: tuple[SpeechInput, ...] = ()  # a dialogue, instead of `text`
    format: AudioFormat = "wav"
    sample_rate_hz: int | None = None  # None: the model's own
    priority: Priority = "interactive"
    caller: str = ""  # "": unknown
    manages: bool = False  # the caller may use every saved voice
    unsplit: bool = False  # one segment of a short text, for one sound of a designed voice
    timeout_s: float | None = None  # for the whole request; None: no limit


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a text, short enough for a model to speak at once.

    The text of a `live` segment is incomplete and may be empty. The rest is fed while the model
    speaks.
    """

    text: str
    voice: str  # Voice.id
    language: str  # ISO 639-1 code
    instruct: str | None = None
    seed: int | None = None
    sampling: SamplingOptions = SamplingOptions()
    phonemes: tuple[tuple[int, int, str], ...] = ()  # start and end in `text`, and IPA
    live: bool = False
    prepared: PreparedVoice | None = None  # a cloned voice, prepared by the same model
    hints: QueueHints = QueueHints()
    isolate: bool = False  # step it alone, because an earlier step with it failed


@dataclass(frozen=True, slots=True)
class Phone:
    """One sound of a segment. Times count from the first sample that the model gives out."""

    ipa: str  # "" if only the word's time is known
    start_s: float
    end_s: float
    start: int  # the span of its word in `Segment.text`
    end: int


@dataclass(frozen=True, slots=True)
class AudioChunk:
    """Samples of one segment, in order, at the engine's sample rate.

    `phones` are new ones, in order. Those of a word come at once, and not after its samples.
    """

    samples: Samples
    phones: tuple[Phone, ...] = ()


@dataclass(frozen=True, slots=True)
class TimedPhone:
    """One sound of a word. Times count from the start of the answer's audio."""

    ipa: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class TimedWord:
    """One spoken word, its time in the answer's audio and its span in the author's text."""

    word: str  # as the author wrote it
    spoken: str
    start: int  # in code points, of input number `input`
    end: int
    start_s: float
    end_s: float
    phones: tuple[TimedPhone, ...] = ()  # none if they are unknown
    input: int = 0


@dataclass(frozen=True, slots=True)
class TimedMark:
    """A place that the author has named, and when it is reached."""

    name: str
    time_s: float
    input: int = 0


@dataclass(frozen=True, slots=True)
class VoiceSegment:
    """A stretch of an answer in one voice."""

    speaker: str
    start_s: float
    end_s: float
    input: int  # index of the dialogue's input, 0 for a single text


@dataclass(frozen=True, slots=True)
class SpeechReport:
    """The outcome and timing of one request. Points in time are the monotonic clock's."""

    model: str
    finish_reason: FinishReason
    ending: StopReason  # the reason if it was cut
    retries: int  # segments that were spoken again
    error: str | None  # the code of the error
    streamed: bool  # sent while it was made
    started_s: float  # start of the request
    queued_s: float  # time when its first segment was queued
    waited_s: float | None  # from then until the model began; None: it never did, or unknown
    first_s: float | None  # time of the first audio
    ended_s: float
    audio_s: float  # seconds of audio
    generation_s: float  # seconds of waiting for audio, in the queue included
    underruns: int  # times that a real-time player would have run out of audio
    voice_segments: tuple[VoiceSegment, ...] = ()
