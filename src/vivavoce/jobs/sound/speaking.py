"""Choose who says each line of a job, name its audio by all that it depends on, and speak it."""

import hashlib
import sys
from collections.abc import Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import numpy as np

from vivavoce import __version__
from vivavoce.audio import nearest_rate
from vivavoce.audio.measure.pitch import median_pitch_hz
from vivavoce.errors import Unsupported
from vivavoce.jobs.job import JobOptions
from vivavoce.jobs.sound.takes import Facts
from vivavoce.jobs.store import to_json
from vivavoce.provenance import Mark
from vivavoce.synthesis.outlet import finished_file, open_outlet
from vivavoce.synthesis.retry import NEXT_SEED
from vivavoce.synthesis.speech import Speech
from vivavoce.synthesis.synthesizer import Synthesizer
from vivavoce.text.lexicon import Lexicon
from vivavoce.types import Samples, SpeechRequest, StopReason
from vivavoce.voices.record import Viewer

SAMPLE_CHARS: Final = 2_000  # of a book, to detect its language


@dataclass(frozen=True, slots=True)
class Narrator:
    """The voice of a book, chosen once. `manages` is that of the viewer who created the job."""

    model: str
    speaker: str
    language: str
    rate_hz: int
    manages: bool = False


@dataclass(frozen=True, slots=True)
class Voiced:
    """Who says a line. `sound` identifies a saved voice by what it is, not by its name."""

    model: str
    speaker: str
    language: str
    sound: str
    seeded: bool  # another seed may sound better
    voice: str  # the name to show

    @property
    def mark(self) -> Mark:
        return Mark(self.model, self.voice)


@dataclass(frozen=True, slots=True)
class Spoken:
    """One attempt at a line: a FLAC file, and what is known of it."""

    flac: bytes
    samples: int
    facts: Facts


async def choose_narrator(
    synthesizer: Synthesizer, options: JobOptions, language: str | None, sample: str,
    viewer: Viewer,
) -> Narrator:  # fmt: skip
    """Return who speaks a book. Raises as `Synthesizer.match` does if nobody can."""
    speaker = options.cast.narrator or options.voice
    request = SpeechRequest(
        sample, input_type="text", model=options.model, speaker=speaker,
        language=options.language or language, instruct=options.instruct, caller=viewer.name,
        manages=viewer.manages,
    )  # fmt: skip
    match = await synthesizer.match(request)
    rate_hz = nearest_rate("flac", match.info.sample_rate_hz)
    return Narrator(match.info.name, match.speaker, match.language, rate_hz, viewer.manages)


class Speaker:
    """What says the lines of one job."""

    def __init__(
        self, synthesizer: Synthesizer, options: JobOptions, narrator: Narrator, owner: str
    ) -> None:
        self.narrator = narrator
        self._synthesizer = synthesizer
        self._options = options
        self._owner = owner
        self._voices: dict[tuple[str | None, str | None], Voiced] = {}
        self._lexicons: Sequence[Lexicon] = ()

    @property
    def at_once(self) -> int:
        """The sentences that the narrator's model speaks at once, as far as that is known."""
        engine = self._synthesizer.pool.ready.get(self.narrator.model)
        if engine is None:  # not loaded
            return 1
        return sys.maxsize if engine.max_batch is None else engine.max_batch  # None: elsewhere

    async def prepare(self) -> None:
        """Read the lexicon of the server, which counts for this run."""
        own = Lexicon(self._options.pronunciations)
        self._lexicons = (await self._synthesizer.lexicon(), own)

    async def voiced(self, voice: str | None, language: str | None) -> Voiced:
        """Return who says a line of `voice`, None for the narrator, in `language`.

        A language that the narrator does not speak is said by another voice that does, if nobody
        chose the narrator. Else it is read as the book's.
        """
        key = (voice, None if language == self.narrator.language else language)
        if key not in self._voices:
            self._voices[key] = await self._match(*key)
        return self._voices[key]

    async def _match(self, voice: str | None, language: str | None) -> Voiced:
        narrator, options = self.narrator, self._options
        request = SpeechRequest(
            "-", input_type="text", model=narrator.model if voice is None else options.model,
            speaker=voice or narrator.speaker, language=language or narrator.language,
            caller=self._owner, manages=narrator.manages,
        )  # fmt: skip
        if language is None:
            return await self._voiced(request)
        is_chosen = voice or options.voice or options.cast.narrator or options.model != "auto"
        other = replace(request, model="auto", speaker=None)
        for each in (request, *([] if is_chosen else [other])):
            with suppress(Unsupported):
                return await self._voiced(each)
        return await self._match(voice, None)

    async def _voiced(self, request: SpeechRequest) -> Voiced:
        match = await self._synthesizer.match(request)
        resolved, saved = await self._synthesizer.saved.resolve(request)
        sound = ""
        if resolved.reference is not None:
            words = (resolved.reference.text or "").encode()
            sound = hashlib.sha256(resolved.reference.samples.tobytes() + words).hexdigest()
        elif saved is not None:
            sound = resolved.speaker or ""
        seeded = match.info.capabilities.seed
        return Voiced(match.info.name, request.speaker or match.speaker, match.language, sound,
                      seeded, match.speaker)  # fmt: skip

    def request(self, text: str, voiced: Voiced, attempt: int) -> SpeechRequest:
        """Return the request for attempt number `attempt` at a line, from 0."""
        options = self._options
        return SpeechRequest(
            text=text,
            model=voiced.model,
            speaker=voiced.speaker,
            language=voiced.language,
            instruct=options.instruct,
            speed=options.speed,
            seed=(options.seed + attempt * NEXT_SEED) % 2**32,
            pronunciations=options.pronunciations,
            timestamps="word",
            format="flac",
            sample_rate_hz=self.narrator.rate_hz,
            priority="batch",
            caller=self._owner,
            manages=self.narrator.manages,
        )

    def key(self, text: str, voiced: Voiced, attempt: int) -> str:
        """Return the name of that attempt: a hash of all that its audio depends on."""
        request = replace(self.request(text, voiced, attempt), pronunciations=())
        rules = [repr(rule) for lexicon in self._lexicons for rule in lexicon.occurring(text)]
        marks = self._synthesizer.provenance.marks
        parts = [
            text, request.model, request.speaker, request.language, request.instruct,
            request.speed, request.seed, request.sample_rate_hz, voiced.sound, rules, marks,
            __version__,
        ]  # fmt: skip
        return hashlib.sha256(to_json(parts).encode()).hexdigest()

    async def speak(self, text: str, voiced: Voiced, attempt: int) -> Callable[[], Spoken]:
        """Speak a line. Return what encodes it, which blocks.

        Raises as `Synthesizer.open` and `Speech.samples` do.
        """
        speech = await self._synthesizer.open(self.request(text, voiced, attempt))
        speech.streamed = False  # each segment is whole before it comes out, so any can be retried
        async with aclosing(speech.samples()) as parts:
            samples = [part async for part in parts]
        return partial(_encoded, speech, np.concatenate(samples), text)


def _encoded(speech: Speech, samples: Samples, text: str) -> Spoken:
    encoder = open_outlet(speech, "flac", kept=True)
    data = encoder.write(samples) + encoder.finish()
    rate_hz = speech.sample_rate_hz
    words = tuple(
        (word.start, word.end, round(word.start_s, 4), round(word.end_s, 4))
        for word in speech.words
    )
    said = "".join(word.spoken for word in speech.words) or text
    facts = Facts(
        rate_hz,
        words,
        "" if speech.ending is StopReason.COMPLETE else speech.ending.value,
        tuple(speech.unspoken),
        sum(map(str.isalpha, said)) * rate_hz / max(len(samples), 1),
        median_pitch_hz(samples, rate_hz),
    )
    return Spoken(finished_file(speech, "flac", data, signed=False), len(samples), facts)
