"""Serve `synthesize` and `voices` of Wit.ai's API, for Meta's Voice SDK for Unity.

On request the audio comes in frames, with the times of words, sounds and visemes. The rest of
Wit.ai, which understands speech, is not implemented.
"""

import json
import struct
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import asdict
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Header, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from vivavoce.api.dependencies import SynthesizerDep, ViewerDep
from vivavoce.api.responses import chunked, respond, stream, whole
from vivavoce.api.routes.bodies import BoundedRoute
from vivavoce.api.routes.wit.lipsync import Event, events
from vivavoce.api.schemas.answers import Answers, audio_answers
from vivavoce.api.schemas.values import Flag, Instruct, Name, Number, optional, text_field
from vivavoce.errors import Unsupported
from vivavoce.synthesis.outlet import open_outlet
from vivavoce.synthesis.speech import Speech
from vivavoce.types import AudioFormat, EngineInfo, SpeechRequest, Voice

RATE_HZ: Final = 24_000  # the SDK assumes this rate for all audio
NO_VOICE: Final = "charlie"  # the SDK's default: no voice was chosen
NO_STYLE: Final = "default"
MIN_PITCH: Final = 0.5  # the SDK allows 25 %, which the filters cannot produce

RAW: Final = "audio/raw"
FORMATS: Mapping[str, AudioFormat] = {
    RAW: "pcm", "audio/mpeg": "mp3", "audio/mpeg3": "mp3", "audio/*": "mp3", "*/*": "mp3",
    "audio/wav": "wav",
}  # fmt: skip
RAW_TYPE: Final = f"{RAW};encoding=signed-integer;bits=16;rate={RATE_HZ};endian=little"
FRAMES_TYPE: Final = "application/octet-stream"
HEADER: Final = struct.Struct("<Bqq")  # flags, bytes of JSON, bytes of audio
HAS_AUDIO, HAS_JSON = 1, 2


def paths(prefix: str) -> Sequence[str]:
    """Return the paths of this API below `prefix`, or none if it is empty."""
    return [f"{prefix.rstrip('/')}/{name}" for name in ("synthesize", "voices") if prefix]


class WitError(BaseModel):
    """An error of this API."""

    error: str
    code: str


ERRORS: Answers = {status: {"model": WitError} for status in ("4XX", "5XX")}
router = APIRouter(tags=["wit"], responses=ERRORS, route_class=BoundedRoute)
AUDIO = audio_answers(RAW, "audio/mpeg", "audio/wav", FRAMES_TYPE)


class WitBody(BaseModel):
    """The body that the SDK posts. Values are strings, and unknown fields are ignored."""

    model_config = ConfigDict(extra="ignore")

    q: str = text_field("The text to speak; markup is left out. At least one word.")
    voice: Name | None = optional("A `name` from `GET voices`; `Charlie` lets the server choose.")
    style: Instruct | None = optional("How to say it, for models that follow instructions.")
    speed: Annotated[float, Field(ge=50, le=200, allow_inf_nan=False), Number] = Field(
        100, description="Percent of the voice's own pace."
    )
    pitch: Annotated[float, Field(ge=25, le=200, allow_inf_nan=False), Number] = Field(
        100, description="Percent of the voice's own; at least 50."
    )
    viseme: Flag = Field(
        False,
        description="Send the times of words, sounds and visemes beside the audio, in frames.",
    )

    def to_request(self, audio_format: AudioFormat) -> SpeechRequest:
        voice = (self.voice or NO_VOICE).removeprefix("wit$")
        return SpeechRequest(
            text=self.q,
            speaker=None if voice.lower() == NO_VOICE else voice,
            instruct=None if self.style in (None, "", NO_STYLE) else self.style,
            speed=self.speed / 100,
            pitch=max(self.pitch / 100, MIN_PITCH),
            timestamps="phone" if self.viseme else None,
            format=audio_format,
            sample_rate_hz=RATE_HZ,
        )


class WitVoice(BaseModel):
    """One entry of `GET voices`, as the SDK lists it."""

    name: str
    locale: str
    gender: Literal["female", "male", "neutral"]
    styles: list[str]
    supported_features: list[str]


@router.post("/synthesize", response_class=Response, responses=AUDIO)
async def synthesize(
    http: Request, body: WitBody, accept: Annotated[str, Header()] = "*/*"
) -> Response:
    """Speak a text in 24 kHz mono as it is made. `audio/wav` is one exact file."""
    request = body.to_request(_format(accept or "*/*"))
    if body.viseme:
        return await respond(http, request, _with_events)
    answer = await respond(http, request, whole if request.format == "wav" else stream)
    if request.format == "pcm":
        answer.headers["Content-Type"] = RAW_TYPE
    return answer


async def _with_events(http: Request, speech: Speech, request: SpeechRequest) -> Response:
    return await chunked(http, speech, _frames(speech, request.format), FRAMES_TYPE)


@router.get("/voices")
async def voices(synthesizer: SynthesizerDep, viewer: ViewerDep) -> dict[str, list[WitVoice]]:
    """Return the voices by their native language."""
    by_language: dict[str, list[WitVoice]] = {}
    for info in await synthesizer.offered(None, viewer):
        for voice in info.voices:
            if voice.listed:
                by_language.setdefault(voice.languages[0], []).append(_card(info, voice))
    return by_language


def _card(info: EngineInfo, voice: Voice) -> WitVoice:
    features = ["speed", "pitch", *(["style"] if info.capabilities.instruct else [])]
    return WitVoice(
        name=voice.id,
        locale=voice.languages[0],
        gender=voice.gender,
        styles=[NO_STYLE],
        supported_features=features,
    )


def _format(accept: str) -> AudioFormat:
    """Return the first supported format in an Accept header. Raises `Unsupported`."""
    for part in accept.split(","):
        if (media_type := part.partition(";")[0].strip().lower()) in FORMATS:
            return FORMATS[media_type]
    problem = f"Accept is {accept[:80]!r}, which is not made here: send one of {', '.join(FORMATS)}"
    raise Unsupported(problem, field="Accept")


async def _frames(speech: Speech, audio_format: AudioFormat) -> AsyncGenerator[bytes]:
    """Yield audio in frames, with the events of the words that begin in it."""
    encoder = open_outlet(speech, audio_format)
    told = 0
    new: list[Event] = []
    try:
        async with aclosing(speech.samples()) as parts:
            async for samples in parts:
                words = speech.words[told:]
                told += len(words)
                new += events(words, speech.language, speech.sample_rate_hz)
                if data := encoder.write(samples):
                    yield frame(new, data)
                    new = []
        if (rest := encoder.finish()) or new:
            yield frame(new, rest)
    finally:
        encoder.close()
        await speech.aclose()


def frame(events: Sequence[Event], audio: bytes) -> bytes:
    """Return one frame in the SDK's format: flags, two lengths, the events as JSON, the audio."""
    text = json.dumps([asdict(event) for event in events]).encode("ascii") if events else b""
    flags = (HAS_AUDIO if audio else 0) | (HAS_JSON if text else 0)
    return HEADER.pack(flags, len(text), len(audio)) + text + audio
