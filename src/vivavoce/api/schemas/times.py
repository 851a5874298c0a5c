"""Describe word times and subtitles: the fields of requests, and their form in answers."""

from collections.abc import Iterable
from typing import Annotated

from pydantic import BaseModel, Field

from vivavoce.api.schemas.answers import VoiceStretch
from vivavoce.api.schemas.values import optional
from vivavoce.text.subtitles import SubtitleFormat
from vivavoce.types import AudioFormat, FinishReason, TimedMark, TimedWord, Timestamps, Timing

Seconds = Annotated[float, Field(description="Seconds from the start of the audio.")]


class TimeFields(BaseModel):
    """The fields of a request that ask for times, for both APIs."""

    timestamps: Timestamps | None = optional(
        "Tell when each word is said, with `phone` also its sounds, with `char` its characters."
    )


class SubtitleFields(TimeFields):
    """The same with subtitles."""

    subtitles: SubtitleFormat | None = optional("Make subtitles of the text, as SRT or WebVTT.")

    @property
    def times(self) -> Timestamps | None:
        """The detail that is needed for what is asked."""
        return self.timestamps or ("word" if self.subtitles else None)


class PhoneTime(BaseModel):
    phone: str = Field(description="A sound in the International Phonetic Alphabet.")
    start_s: Seconds
    end_s: Seconds


class CharTime(BaseModel):
    char: str
    start_s: Seconds
    end_s: Seconds


class WordTime(BaseModel):
    """One spoken word, and when it is heard."""

    word: str = Field(description="As the author wrote it.")
    spoken: str = Field(description="As it is said.")
    start: int = Field(description="Its span in the author's text, in code points.")
    end: int
    start_s: Seconds
    end_s: Seconds
    input: int = Field(description="Index of the dialogue's input, 0 for a single text.")
    phones: list[PhoneTime] | None = optional("With `phone`. Empty if the sounds are unknown.")
    chars: list[CharTime] | None = optional("With `char`: the word's time in equal parts.")

    @classmethod
    def of(cls, word: TimedWord, detail: Timestamps) -> "WordTime":
        return cls(
            word=word.word,
            spoken=word.spoken,
            start=word.start,
            end=word.end,
            start_s=round(word.start_s, 4),
            end_s=round(word.end_s, 4),
            input=word.input,
            phones=_phones(word) if detail == "phone" else None,
            chars=_chars(word) if detail == "char" else None,
        )


class MarkTime(BaseModel):
    """A `mark` of SSML."""

    name: str
    time_s: float = Field(description="Start of the word behind it, or the end of the audio.")
    input: int = Field(description="Index of the dialogue's input, 0 for a single text.")

    @classmethod
    def of(cls, mark: TimedMark) -> "MarkTime":
        return cls(name=mark.name, time_s=round(mark.time_s, 4), input=mark.input)


class TimedSpeech(BaseModel):
    """Speech with the times of its words."""

    audio: str = Field(description="The whole file, in base64.")
    format: AudioFormat
    sample_rate: int
    duration_s: float
    model: str
    voice: str
    language: str
    timing: Timing = Field(
        description="The source of the times: the `model`'s own, `aligned` with the sounds of the "
        "audio, or `estimated` from the text."
    )
    words: list[WordTime]
    voice_segments: list[VoiceStretch] = Field(description="The voices of the audio, in order.")
    marks: list[MarkTime] = Field(description="The marks of SSML, in order.")
    subtitles: str | None = optional("The subtitles, if asked for.")
    finish_reason: FinishReason
    ignored: list[str] = Field(description="Fields and markup that had no effect.")
    unspoken: list[str] = Field(description="Parts of the text that cannot be said.")


def word_times(words: Iterable[TimedWord], detail: Timestamps) -> list[dict[str, object]]:
    """Return `words` as values of JSON."""
    return [WordTime.of(word, detail).model_dump(exclude_none=True) for word in words]


def _phones(word: TimedWord) -> list[PhoneTime]:
    return [
        PhoneTime(phone=phone.ipa, start_s=round(phone.start_s, 4), end_s=round(phone.end_s, 4))
        for phone in word.phones
    ]


def _chars(word: TimedWord) -> list[CharTime]:
    step_s = (word.end_s - word.start_s) / max(len(word.word), 1)
    return [
        CharTime(
            char=char,
            start_s=round(word.start_s + at * step_s, 4),
            end_s=round(word.start_s + (at + 1) * step_s, 4),
        )
        for at, char in enumerate(word.word)
    ]
