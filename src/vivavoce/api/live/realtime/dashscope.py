"""Serve DashScope's realtime protocol of Qwen-TTS: `WS /api-ws/v1/realtime`.

See `docs/live-dialects.md`. In the mode `server_commit` text is spoken while it is written, and a
response is what was written until a commit. In the mode `commit` nothing is spoken before that.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, WebSocket

from vivavoce.api.live.realtime.response import (
    DASHSCOPE,
    Response,
    Status,
    model_of,
    new_id,
    refusal,
    usage_of,
    vendor_error,
)
from vivavoce.api.live.socket import POLICY, LiveSocket, of_type
from vivavoce.api.schemas import dashscope as sent
from vivavoce.errors import BadRequest, VivavoceError
from vivavoce.sessions.events import Audio, Done, Event, Failed, Started
from vivavoce.sessions.utterance import Utterance

router = APIRouter(tags=["live"])


@router.websocket("/api-ws/v1/realtime")
async def realtime(socket: WebSocket) -> None:
    await QwenSocket(socket).run()


@dataclass(frozen=True, slots=True)
class Spoken:
    response: Response
    utterance: Utterance


class QwenSocket(LiveSocket):
    def __init__(self, socket: WebSocket) -> None:
        super().__init__(socket)
        self._id, self._conversation_id = new_id("sess"), new_id("conv")
        self._asked = socket.query_params.get("model") or "auto"
        self._model = model_of(self._asked, sent.MODELS, self.server.synthesizer.pool)
        self._config = sent.QwenConfig()
        self._buffer = ""  # in the mode `commit`
        self._writing: Utterance | None = None  # in the mode `server_commit`
        self._speaking: dict[str, Spoken] = {}  # by the id of the response

    async def on_open(self) -> None:
        try:
            await self.server.synthesizer.router.candidates(self._model)
        except VivavoceError as error:
            await self.on_error(error, {})
            await self.close(POLICY, "the model cannot be used, see the error")
            return
        await self.tell({"type": "session.created", "session": self._session()})

    async def on_message(self, message: Mapping[str, Any]) -> None:
        event = of_type(message, sent.QWEN_TYPES).model_validate(message)
        if self.is_leaving and not isinstance(event, sent.ResponseCancel):
            raise refusal("invalid_value", "the session was finished: connect again", "type")
        match event:
            case sent.SessionUpdate(session=session):
                self._config = self._config.updated(session)
                await self.tell({"type": "session.updated", "session": self._session()})
            case sent.TextAppend(text=text):
                await self._append(text)
            case sent.TextCommit():
                await self._commit()
            case sent.TextClear():
                self._buffer = ""
                if self._writing is not None:
                    self._writing.clear()
                await self.tell({"type": "input_text_buffer.cleared"})
            case sent.ResponseCancel():
                if not self._speaking:
                    problem = "no response is being spoken"
                    raise refusal("response_cancel_not_active", problem, "type")
                self._writing = None
                stopped = list(self._speaking.values())
                await self.session.stop(spoken.utterance for spoken in stopped)
                for spoken in stopped:
                    await self._close(spoken, "cancelled", {"reason": "client_cancelled"})
            case sent.SessionFinish():
                if self._writing is not None or any(map(str.isalnum, self._buffer)):
                    await self._commit()
                self.leave()

    async def on_leave(self) -> None:
        await self.tell({"type": "session.finished"})

    async def on_event(self, event: Event) -> None:
        if (spoken := self._speaking.get(event.utterance.name)) is None:
            return
        match event:
            case Started():
                await self.tell(*spoken.response.opening())
            case Audio(_, data):
                await self.tell(*spoken.response.delta(data, ""))
            case Done():
                await self._close(spoken, "completed")
            case Failed(_, error):
                await self.on_error(error, {})
                details = {"error": vendor_error(self.socket, error)}
                await self._close(spoken, "failed", details)

    async def on_error(self, error: VivavoceError, message: Mapping[str, Any]) -> None:
        name = message.get("event_id")
        about = {"event_id": name if isinstance(name, str) else None}
        await self.tell({"type": "error", "error": vendor_error(self.socket, error) | about})

    async def tell(self, *events: Mapping[str, Any]) -> None:
        await self.send_all([{"event_id": new_id("event"), **event} for event in events])

    async def _append(self, text: str) -> None:
        if self._config.mode == "commit":
            if len(self._buffer) + len(text) > self.server.max_text_chars:
                problem = f"text has more than {self.server.max_text_chars:,} characters"
                raise BadRequest(f"{problem}: commit it in parts", field="text")
            self._buffer += text
        elif self._writing is not None:
            self.session.append(self._writing, text)
        elif text.strip():
            self._writing = await self._respond(text)

    async def _commit(self) -> None:
        """End the text that was written, and have it spoken."""
        text, self._buffer = self._buffer, ""
        utterance, self._writing = self._writing, None
        if utterance is None and not any(map(str.isalnum, text)):
            problem = "the text buffer is empty: append text first"
            raise refusal("invalid_value", problem, "input_text_buffer")
        await self.tell({"type": "input_text_buffer.committed", "item_id": new_id("item")})
        if utterance is not None:
            utterance.end()
        if any(map(str.isalnum, text)):
            (await self._respond(text)).end()

    async def _respond(self, text: str) -> Utterance:
        """Begin a response, whose text begins with `text`."""
        request = self._config.to_request(self._model)
        facts = {"conversation_id": self._conversation_id, "modalities": ["text", "audio"]}
        facts |= {"voice": self._config.voice or "", "output_audio_format": request.format}
        response = Response(DASHSCOPE, facts)
        # Nothing waits from here to `tell`, so the first event of all is this one.
        utterance = self.begin(request, response.id)
        try:
            self.session.append(utterance, text)
        except BadRequest:
            await utterance.aclose()
            raise
        self._speaking[response.id] = Spoken(response, utterance)
        await self.tell(response.created())
        return utterance

    async def _close(
        self, spoken: Spoken, status: Status, details: Mapping[str, Any] | None = None
    ) -> None:
        self._speaking.pop(spoken.response.id, None)
        if self._writing is spoken.utterance:  # it has failed: what follows is another response
            self._writing = None
        if not spoken.response.closed:
            chars = len(spoken.utterance.text)
            usage = {**usage_of(chars, spoken.utterance.sent_s), "characters": chars}
            await self.tell(*spoken.response.closing(status, usage, details))

    def _session(self) -> Mapping[str, Any]:
        about = {"id": self._id, "object": "realtime.session", "model": self._asked}
        return {**about, **self._config.model_dump(exclude_none=True)}
