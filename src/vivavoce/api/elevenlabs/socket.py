"""Connect a WebSocket of ElevenLabs with a session, whatever the number of its texts."""

import base64
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from pydantic import ValidationError
from starlette.websockets import WebSocket

from vivavoce.api.dependencies import from_caller
from vivavoce.api.elevenlabs.alignment import Alignment, CharLine
from vivavoce.api.elevenlabs.bodies import ClientMessage, SocketQuery, VoiceSettings
from vivavoce.api.errors import describe
from vivavoce.api.live.socket import POLICY, LiveSocket
from vivavoce.errors import BadRequest, NotReady, Overloaded, VivavoceError
from vivavoce.sessions.events import Audio, Done, Event, Failed
from vivavoce.sessions.utterance import Utterance

INTERNAL: Final = 1011
TRY_LATER: Final = 1013
_SAMPLE: Final = "1"  # a text in any language, to ask whether there is such a voice


@dataclass(slots=True)
class Context:
    """A text of a client, and what was told of it.

    Its utterance begins with its first word, since clients open more texts than they write.
    """

    name: str
    settings: VoiceSettings | None = None
    utterance: Utterance | None = None
    is_flushed: bool = True  # all of it is to be spoken, without waiting for more
    written: CharLine = field(default_factory=CharLine)
    said: CharLine = field(default_factory=lambda: CharLine(spoken=True))


class ElevenLabsSocket(LiveSocket):
    """A client of ElevenLabs. Each of its texts is spoken beside the others."""

    _query: SocketQuery

    def __init__(self, socket: WebSocket, voice_id: str) -> None:
        super().__init__(socket)
        self.speaking: dict[str, Context] = {}  # by the name of their utterance
        self._voice_id = voice_id

    def about(self, name: str) -> Mapping[str, object]:
        """Return the part of a message that names its text."""
        return {}

    @abstractmethod
    async def on_finished(self, context: Context) -> None:
        """Go on after a text, all of which was sent."""

    @abstractmethod
    async def on_failed(self, context: Context, error: VivavoceError) -> None:
        """Go on after a text that could not be spoken."""

    async def on_connect(self) -> None:
        try:
            query = SocketQuery.model_validate(dict(self.socket.query_params))
        except ValidationError as error:
            name, problem = describe(error.errors()[0])
            raise BadRequest(problem, field=name or "query") from error
        request = query.request_for(_SAMPLE, self._voice_id, None, query.output_format)
        await self.server.synthesizer.match(from_caller(request, self.socket))
        self._query = query
        self.timeout_s = min(self.timeout_s, query.inactivity_timeout)

    async def on_idle(self) -> None:
        for context in list(self.speaking.values()):
            self.end(context)

    async def on_event(self, event: Event) -> None:
        context = self.speaking.get(event.utterance.name)
        if context is None:
            return
        match event:
            case Audio(utterance, data, words):
                written = context.written.add(words, utterance.text)
                said = context.said.add(words, utterance.text)
                await self._send_audio(context, data, written, said)
            case Done(utterance):
                written = context.written.finish(utterance.text)
                said = context.said.finish(utterance.text)
                if written.chars or said.chars:
                    await self._send_audio(context, b"", written, said)
                del self.speaking[utterance.name]
                await self.on_finished(context)
            case Failed(utterance, error):
                del self.speaking[utterance.name]
                await self.send_error(error, context.name)
                await self.on_failed(context, error)

    def write(self, context: Context, message: ClientMessage) -> None:
        """Add to a text, and flush it if the message says so. Raises as `begin` and `append`."""
        text = message.text or ""
        if text.strip() and context.utterance is None:
            request = self._query.request_for(
                "", self._voice_id, context.settings, self._query.output_format
            )
            context.utterance = self.begin(replace(request, timestamps="char"), beside=True)
            self.speaking[context.utterance.name] = context
        if context.utterance is None:
            return
        if text:
            self.session.append(context.utterance, text)
            context.is_flushed = context.is_flushed and not text.strip()
        if message.flush:
            context.utterance.flush()
            context.is_flushed = True

    def end(self, context: Context) -> None:
        """Have all of a text spoken that has begun."""
        if context.utterance is not None:
            context.utterance.end()

    async def send_final(self, name: str) -> None:
        final = {"audio": None, "isFinal": True, "alignment": None, "normalizedAlignment": None}
        await self.send({**final, **self.about(name)})

    async def send_error(self, error: VivavoceError, name: str) -> None:
        facts = {"message": error.message, "error": error.code, "code": close_code(error)}
        await self.send({**facts, **self.about(name)})

    async def _send_audio(
        self, context: Context, data: bytes, written: Alignment, said: Alignment
    ) -> None:
        message: dict[str, Any] = {
            "audio": base64.b64encode(data).decode("ascii"),
            "isFinal": None,
            "alignment": self._times(context.written, written),
            "normalizedAlignment": self._times(context.said, said),
        }
        await self.send({**message, **self.about(context.name)})

    def _times(self, line: CharLine, told: Alignment) -> Mapping[str, object] | None:
        """Return `told` as clients expect it: from the start, or from the end of the last one."""
        if not told.chars:
            return None
        from_ms = 0 if self._query.sync_alignment else line.told_ms
        line.told_ms = round(1000 * line.end_s)
        return told.in_ms(from_ms)


def close_code(error: VivavoceError) -> int:
    """Return the code of WebSockets (RFC 6455) that says what kind of error it is."""
    if isinstance(error, Overloaded | NotReady):
        return TRY_LATER
    return POLICY if isinstance(error, BadRequest) else INTERNAL
