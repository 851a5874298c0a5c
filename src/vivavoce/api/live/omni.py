"""Serve the streamed text input of vLLM-Omni and SGLang-Omni: `WS /v1/audio/speech/stream`.

See `docs/live-dialects.md`. An utterance is what a client sends until `input.done`. It is spoken as
one unit, or as one for each sentence or clause. A unit has its own audio.
"""

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from fastapi import APIRouter, WebSocket
from pydantic import BaseModel

from vivavoce.api.live.omni_units import Unit
from vivavoce.api.live.realtime.response import vendor_error
from vivavoce.api.live.socket import LiveSocket, of_type
from vivavoce.api.reference_audio import read_request
from vivavoce.api.schemas.omni import Empty, InputText, StreamConfig
from vivavoce.errors import BadRequest, VivavoceError
from vivavoce.sessions.events import Audio, Done, Event, Failed, Started
from vivavoce.sessions.utterance import Utterance
from vivavoce.text.clauses import clause_end
from vivavoce.types import SpeechRequest

router = APIRouter(tags=["live"])

MOST_WAITING: Final = 32  # units; further text is cut when some of them were spoken

TYPES: Mapping[str, type[BaseModel]] = {
    "session.config": StreamConfig,
    "input.text": InputText,
    "input.commit": Empty,
    "input.done": Empty,
    "session.close": Empty,
}


@router.websocket("/v1/audio/speech/stream")
async def stream(socket: WebSocket) -> None:
    await OmniSocket(socket).run()


@dataclass(frozen=True, slots=True)
class SentenceMark:
    """An answer that follows all units up to number `after`."""

    after: int
    kind: Literal["input.committed", "session.done"]
    facts: Mapping[str, Any]


class OmniSocket(LiveSocket):
    def __init__(self, socket: WebSocket) -> None:
        super().__init__(socket)
        self._config: StreamConfig | None = None
        self._request = SpeechRequest("")
        self._buffer = ""  # of sentences or clauses that are not complete
        self._writing: Utterance | None = None  # the one unit of an utterance
        self._units: dict[str, Unit] = {}  # by the name of their utterance
        self._marks: deque[SentenceMark] = deque()
        self._begun = self._utterance = self._sentence = self._segment = self._committed = 0
        self._is_open = False  # an utterance has text

    async def on_message(self, message: Mapping[str, Any]) -> None:
        kind = of_type(message, TYPES)
        if self.is_leaving:
            raise BadRequest("the session was closed: connect again", field="type")
        if self._config is None and kind is not StreamConfig:
            raise BadRequest("the first message must be session.config: send it", field="type")
        match kind.model_validate(message):
            case StreamConfig() as config:
                await self._configure(config)
            case InputText(text=text):
                self._append(text)
            case _ if message["type"] == "session.close":
                self._flush()
                self.leave()
            case _:
                await self._end(is_done=message["type"] == "input.done")

    async def on_event(self, event: Event) -> None:
        unit = self._units[event.utterance.name]
        match event:
            case Started():
                unit.started(event)
            case Audio():
                await self.send_all(*unit.audio(event))
            case Done():
                await self.send_all(*await asyncio.to_thread(unit.rest, event.utterance.text))
                await self._ended(unit, event.utterance)
            case Failed(_, error):
                await self.on_error(error, {})
                await self._ended(unit, event.utterance, error=True)

    async def on_error(self, error: VivavoceError, message: Mapping[str, Any]) -> None:
        facts = vendor_error(self.socket, error)
        facts["error_type"] = facts.pop("type")
        await self.send({"type": "error", **facts})

    async def _configure(self, config: StreamConfig) -> None:
        if self._is_open:
            problem = "session.config cannot change an utterance: send input.done first"
            raise BadRequest(problem, field="type")
        request = await read_request(config)
        await self.server.synthesizer.router.candidates(request.model)
        self._config, self._request = config, request
        about = {"type": "session.configured", "response_format": request.format}
        about["split_granularity"] = config.split_granularity
        await self.send({**about, "stream_audio": bool(config.stream_audio)})

    def _append(self, text: str) -> None:
        assert self._config is not None
        self._is_open = self._is_open or bool(text)
        if self._config.split_granularity == "none":
            self._writing = self._writing or (self._begin() if text.strip() else None)
            if self._writing is not None:
                self.session.append(self._writing, text)
            return
        if len(self._buffer) + len(text) > self.server.max_text_chars:
            problem = f"more than {self.server.max_text_chars:,} characters wait to be spoken"
            raise BadRequest(f"{problem}: wait for some of them", field="text")
        self._buffer += text
        opening, language = self._config.split_granularity == "clause", self._request.language
        while len(self._units) < MOST_WAITING and (
            end := clause_end(self._buffer, language or "en", opening=opening)
        ):
            self._speak(self._buffer[:end])
            self._buffer = self._buffer[end:]

    def _speak(self, text: str) -> None:
        if any(map(str.isalnum, text)):
            utterance = self._begin()
            self.session.append(utterance, text.strip())
            utterance.end()

    def _begin(self) -> Utterance:
        assert self._config is not None
        request = self._request
        if request.format == "wav" and not self._config.stream_audio:
            request = replace(request, format="pcm")  # the header, which tells the length, is last
        utterance = self.begin(request)
        place = (self._begun, self._utterance, self._sentence)
        self._units[utterance.name] = Unit(*place, self._config, self._request.format)
        self._begun, self._sentence = self._begun + 1, self._sentence + 1
        return utterance

    def _flush(self) -> None:
        """End what was written so far."""
        if self._writing is not None:
            self._writing.end()
            self._writing = None
        text, self._buffer = self._buffer, ""
        self._speak(text)

    async def _end(self, *, is_done: bool) -> None:
        """Answer a commit, or the end of an utterance, once all of it was spoken."""
        try:
            self._flush()
        except VivavoceError as error:  # the client waits for the answer all the same
            await self.on_error(error, {})
        if is_done:
            facts = {"utterance_index": self._utterance, "total_sentences": self._sentence}
            self._marks.append(SentenceMark(self._begun, "session.done", facts))
            self._utterance, self._sentence, self._committed = self._utterance + 1, 0, 0
            self._is_open = False
        else:
            new, self._committed = self._sentence - self._committed, self._sentence
            facts = {"segment_index": self._segment, "segment_sentences": new}
            facts["total_sentences"] = self._sentence
            self._marks.append(SentenceMark(self._begun, "input.committed", facts))
            self._segment += 1
        await self._answer()

    async def _answer(self) -> None:
        first = min((unit.number for unit in self._units.values()), default=self._begun)
        answers = []
        while self._marks and self._marks[0].after <= first:
            mark = self._marks.popleft()
            answers.append({"type": mark.kind, **mark.facts})
        await self.send_all(answers)

    async def _ended(self, unit: Unit, utterance: Utterance, *, error: bool = False) -> None:
        del self._units[utterance.name]
        await self.send(unit.done(utterance.id, error=error))
        await self._answer()
