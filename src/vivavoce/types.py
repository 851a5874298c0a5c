"""The values that cross layers: requests, segments, voices, chunks. Frozen, plain, free of
behaviour.

Audio is float32 mono in [-1, 1] everywhere inside; other forms exist only at the edge
(`audio.encode`).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

MAX_INSTRUCT_CHARS = 2_000  # of a style instruction; a slot of Qwen3-TTS takes some 500 tokens
MAX_REFERENCE_CHARS = 5_000  # of what is said in 30 s of recording: ten times what anybody says

Samples: TypeAlias = NDArray[np.float32]  # [n], mono, in [-1, 1]
AudioFormat = Literal["wav", "pcm", "mp3", "opus", "aac", "flac"]
FinishReason = Literal["complete", "retried", "truncated", "cancelled", "error"]  # of a request
Gender = Literal["female", "male", "neutral"]
Priority = Literal["interactive", "batch"]
Need = Literal["instruct", "reference"]  # what some models cannot speak without
Task = Literal[
    "custom_voice", "voice_design", "base"
]  # what a Qwen3-TTS model was trained for; others have none


class StopReason(Enum):
    """Why a segment's audio ended; whatever is not `COMPLETE` was cut."""

    COMPLETE = "complete"
    LENGTH = "length"  # longer than its text can take, or than the request allows
    REPETITION = "repetition"  # the model went round in a circle
    NOISE = "noise"  # it was no sound: not numbers, or far beyond full scale
    SILENCE = "silence"  # there was nothing to hear, although there were words to say


@dataclass(frozen=True, slots=True)
class Voice:
    """One speaker of one model."""

    id: str
    name: str
    languages: tuple[str, ...]  # ISO 639-1 codes, the native one first
    gender: Gender = "neutral"
    listed: bool = (
        True  # False: accepted by name and shown by /v1/audio/voices, left out of /v1/tts/speakers
    )
    description: str = ""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a model can honour; the layers above name the rest in `X-Ignored`."""

    instruct: bool = False
    seed: bool = False
    deterministic: bool = False  # same text, voice and seed, or none, give the same samples
    sampling: bool = False  # honours `SamplingOptions`
    live_text: bool = False  # speaks a text that is not complete yet (`Segment.live`)
    clones: bool = False  # speaks with the voice of a `Reference`
    needs: Need | None = None  # a request without it is refused, and `auto` passes the model over


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What the server knows of a model: enough to list it, to route to it and to refuse what it cannot do."""

    name: str
    sample_rate_hz: int
    languages: tuple[str, ...]  # ISO 639-1 codes
    voices: tuple[Voice, ...]
    capabilities: Capabilities = Capabilities()
    task: Task | None = None
    aliases: Mapping[str, str] = field(default_factory=dict)  # other names, lower case → Voice.id
    default_voices: Mapping[str, str] = field(
        default_factory=dict
    )  # language → Voice.id; else the first native one
    max_segment_chars: int = 250
    max_live_chars: int = 0  # of a live segment's text in all, counted as those of a segment are
    description: str = ""
    licence: str = ""


@dataclass(frozen=True, slots=True)
class SamplingOptions:
    """How a language model draws its codes; `None` is the model's own way. Names as in
    generation_config.json.

    Those of the `subtalker_` are for the code predictor, which fills a frame; the others for the
    talker, which makes the frames one by one. `max_new_tokens` is the most frames of each segment.
    """

    do_sample: bool | None = None  # False: the likeliest code, always
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
    """A recording whose voice is wanted.

    With `text`, the words said in it, a model may hear the recording itself.
    """

    samples: Samples
    sample_rate_hz: int
    text: str | None = None


class PreparedVoice(Protocol):
    """A model's own form of a `Reference`'s voice; nothing outside the model looks inside."""


@dataclass(frozen=True, slots=True)
class QueueHints:
    """What a request asks of a model's queue; its segments all carry it."""

    audio_s: float = 0.0  # of speech in all, as predicted from its text
    priority: Priority = "interactive"
    caller: str = (
        ""  # whose it is: no caller's requests hold up another's for long; "": nobody knows
    )
    timeout_s: float = math.inf  # nobody wants its audio later than this


@dataclass(frozen=True, slots=True)
class SpeechRequest:
    """One request for speech with every default filled in; `None` means "choose for me"."""

    text: str
    model: str = "auto"
    speaker: str | None = None
    language: str | None = None  # ISO 639-1 code
    task: Task | None = None  # None: a model of any task, or of none
    instruct: str | None = None
    speed: float = 1.0
    pitch: float = 1.0  # 2.0 is an octave higher; formants move with it
    seed: int | None = None
    sampling: SamplingOptions = SamplingOptions()
    reference: Reference | None = None  # whose voice to speak with, instead of a speaker's
    format: AudioFormat = "wav"
    sample_rate_hz: int | None = None  # None: the model's own
    priority: Priority = "interactive"
    caller: str = ""  # who asks, where that is known
    timeout_s: float | None = None  # for the whole of it, from now on; None: however long it takes


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of text short enough for a model to speak in one go.

    The text of a `live` one is what is known so far, maybe nothing; the rest is fed while it is
    spoken.
    """

    text: str
    voice: str  # Voice.id
    language: str  # ISO 639-1 code
    instruct: str | None = None
    seed: int | None = None
    sampling: SamplingOptions = SamplingOptions()
    live: bool = False
    prepared: PreparedVoice | None = (
        None  # whose voice, for a model that clones; made by that model
    )
    hints: QueueHints = QueueHints()
    isolate: bool = (
        False  # to be stepped by itself: something that it was stepped with before has failed
    )


@dataclass(frozen=True, slots=True)
class AudioChunk:
    """Samples of one segment, in order, at the engine's sample rate."""

    samples: Samples


@dataclass(frozen=True, slots=True)
class SpeechReport:
    """How one request was spoken, for whoever counts or traces it.

    Moments are of the monotonic clock.
    """

    model: str
    finish_reason: FinishReason
    ending: StopReason  # why it was cut, where it was
    retries: int  # segments that were spoken once more
    error: str | None  # the code of what it failed with
    streamed: bool  # somebody listened while it was made
    started_s: float  # when the request was opened
    queued_s: float  # when its first segment was given to the model
    waited_s: (
        float | None
    )  # seconds from then until the model began; None: it never did, or it is not known
    first_s: float | None  # when the first audio was there
    ended_s: float
    audio_s: float  # seconds of audio
    generation_s: float  # seconds in which audio was waited for, those in the queue among them
    underruns: int  # times that a player in real time would have run dry
