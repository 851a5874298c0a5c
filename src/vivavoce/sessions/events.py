"""What a session tells its client, in the order in which it happens to an utterance."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from vivavoce.errors import VivavoceError
from vivavoce.sessions.heard import Heard
from vivavoce.synthesis.speech import Speech
from vivavoce.types import FinishReason, TimedWord

if TYPE_CHECKING:
    from vivavoce.sessions.utterance import Utterance


@dataclass(frozen=True, slots=True)
class Started:
    """A model and a voice were chosen, and audio follows."""

    utterance: "Utterance"
    speech: Speech


@dataclass(frozen=True, slots=True)
class Audio:
    """The next bytes of the audio, maybe none, and the words that begin in it.

    The spans of the words are those in the whole text. The bytes are of the audio from `start_s` to
    `end_s`, but for less than a frame that an encoder holds back.
    """

    utterance: "Utterance"
    data: bytes
    words: Sequence[TimedWord]
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Flushed:
    """All that was written before a flush was sent."""

    utterance: "Utterance"


@dataclass(frozen=True, slots=True)
class Done:
    """All of the text was sent, or what was heard until an interruption."""

    utterance: "Utterance"
    finish_reason: FinishReason
    audio_s: float
    heard: Heard


@dataclass(frozen=True, slots=True)
class Failed:
    """The utterance ended with an error."""

    utterance: "Utterance"
    error: VivavoceError


Event: TypeAlias = Started | Audio | Flushed | Done | Failed
