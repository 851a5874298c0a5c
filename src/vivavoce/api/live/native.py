"""Serve live speech in our own protocol, `WS /v1/tts/stream`.

Messages are JSON, and audio is binary: each `audio` message is followed by its bytes. See
`docs/live.md`.
"""

from collections.abc import Mapping
from typing import Any, Final

from fastapi import APIRouter, WebSocket

from vivavoce.api.errors import error_facts
from vivavoce.api.live.messages import TYPES, Begin, End, Flush, Interrupt, Ping, Text
from vivavoce.api.live.socket import LiveSocket, of_type
from vivavoce.api.reference_audio import read_request
from vivavoce.api.schemas.times import word_times
from vivavoce.errors import BadRequest, VivavoceError
from vivavoce.sessions.events import Audio, Done, Event, Failed, Flushed, Started
from vivavoce.sessions.utterance import Utterance
from vivavoce.synthesis.outlet import mark_field

router = APIRouter(tags=["live"])

PROTOCOL: Final = "vivavoce"


@router.websocket("/v1/tts/stream")
async def stream(socket: WebSocket) -> None:
    await NativeSocket(socket).run(protocols=(PROTOCOL,))


class NativeSocket(LiveSocket):
    """A client of our own protocol. Text goes to the context that began last, if it names none."""

    _latest: str | None = None  # context

    async def on_open(self) -> None:
        await self.send({"type": "ready"})

    async def on_message(self, message: Mapping[str, Any]) -> None:
        match of_type(message, TYPES).model_validate(message):
            case Begin() as begin:
                await self._begin(begin)
            case Text() as text:
                utterance = await self._writing(text.context)
                self.session.append(utterance, text.text)
                if text.flush:
                    utterance.flush()
            case Flush() as flush:
                self._found(flush.context).flush()
            case End() as end:
                self._found(end.context).end()
            case Interrupt() as interrupt:
                await self._interrupt(interrupt)
            case Ping():
                await self.send({"type": "pong"})

    async def on_event(self, event: Event) -> None:
        about: dict[str, Any] = {"context": event.utterance.name}
        match event:
            case Started(utterance, speech):
                await self.send(
                    {
                        "type": "started",
                        **about,
                        "request_id": utterance.id,
                        "model": speech.model,
                        "voice": speech.voice,
                        "language": speech.language,
                        "format": utterance.request.format,
                        "sample_rate": speech.sample_rate_hz,
                        "ignored": list(speech.ignored),
                        **mark_field(speech),
                    }
                )
            case Audio(utterance, data, words, start_s, end_s):
                audio = {"type": "audio", **about, "start_ms": round(1000 * start_s)}
                audio["duration_ms"] = round(1000 * end_s) - round(1000 * start_s)
                audio["bytes"] = len(data)
                if utterance.request.timestamps is not None:
                    audio["words"] = word_times(words, utterance.request.timestamps)
                await self.send(audio, data)
            case Flushed():
                await self.send({"type": "flushed", **about})
            case Done(utterance, reason, audio_s):
                unspoken = [] if utterance.speech is None else utterance.speech.unspoken
                await self.send(
                    {
                        "type": "done",
                        **about,
                        "finish_reason": reason,
                        "audio_ms": round(1000 * audio_s),
                        "unspoken": unspoken,
                    }
                )
            case Failed(_, error):
                await self.send({"type": "error", **error_facts(error), **about})

    async def on_error(self, error: VivavoceError, message: Mapping[str, Any]) -> None:
        name = message.get("context")
        about = {"context": name} if isinstance(name, str) else {}
        await self.send({"type": "error", **error_facts(error), **about})

    async def _begin(self, begin: Begin) -> Utterance:
        utterance = self.begin(await read_request(begin), begin.context)
        self._latest = utterance.name
        if begin.text:
            self.session.append(utterance, begin.text)
        return utterance

    async def _writing(self, name: str | None) -> Utterance:
        """Return the context to write to. The first text of all begins one."""
        if name is None and (self._latest is None or self.session.find(self._latest) is None):
            return await self._begin(Begin.model_validate({"type": "begin"}))
        return self._found(name)

    def _found(self, name: str | None) -> Utterance:
        name = self._latest if name is None else name
        found = None if name is None else self.session.find(name)
        if found is None:
            raise BadRequest(
                f"context {name!r} is not open here: send begin first", field="context"
            )
        return found

    async def _interrupt(self, interrupt: Interrupt) -> None:
        played_s = None if interrupt.played_ms is None else interrupt.played_ms / 1000
        outcomes = await self.session.interrupt(played_s, interrupt.context)
        contexts = [
            {
                "context": utterance.name,
                "heard": heard.heard,
                "unheard": heard.unheard,
                "audio_ms": round(1000 * heard.audio_s),
            }
            for utterance, heard in outcomes
        ]
        await self.send({"type": "interrupted", "contexts": contexts})
