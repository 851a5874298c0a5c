"""Serve OpenAI's realtime protocol, text in and audio out: `WS /v1/realtime`.

See `docs/live-dialects.md`.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from fastapi import APIRouter, WebSocket

from vivavoce.api.live.realtime.conversation import Conversation, SpokenTurn
from vivavoce.api.live.realtime.response import (
    BETA,
    GA,
    Response,
    Status,
    model_of,
    new_id,
    refusal,
    vendor_error,
)
from vivavoce.api.live.socket import POLICY, LiveSocket, of_type
from vivavoce.api.schemas import realtime as sent
from vivavoce.errors import BadRequest, VivavoceError
from vivavoce.sessions.events import Audio, Done, Event, Failed, Started
from vivavoce.types import MAX_INSTRUCT_CHARS, SpeechRequest

router = APIRouter(tags=["live"])

MODELS: Final = re.compile(r"gpt-(?:4o-|realtime|audio)")


@router.websocket("/v1/realtime")
async def realtime(socket: WebSocket) -> None:
    await RealtimeSocket(socket).run(protocols=("realtime",))


class RealtimeSocket(LiveSocket):
    """A client of the protocol, in its first version (`BETA`) if it asks for that."""

    def __init__(self, socket: WebSocket) -> None:
        super().__init__(socket)
        offered = socket.scope.get("subprotocols") or ()
        versions = (*offered, socket.headers.get("openai-beta", ""))
        self._beta = any("realtime" in version and "v1" in version for version in versions)
        self._id, self._conversation_id = new_id("sess"), new_id("conv")
        self._asked = socket.query_params.get("model") or "auto"
        self._model = model_of(self._asked, MODELS, self.server.synthesizer.pool)
        self._manner = sent.Manner()
        self._conversation = Conversation(self.server.max_text_chars)
        self._speaking: dict[str, SpokenTurn] = {}  # by the id of the response, which is not closed
        self._latest = ""  # response
        self._was_deaf = False

    async def on_open(self) -> None:
        try:
            await self.server.synthesizer.router.candidates(self._model)
        except VivavoceError as error:
            await self.on_error(error, {})
            await self.close(POLICY, "the model cannot be used, see the error")
            return
        await self.tell({"type": "session.created", "session": self._session()})
        if self._beta:
            about = {"id": self._conversation_id, "object": "realtime.conversation"}
            await self.tell({"type": "conversation.created", "conversation": about})

    async def on_message(self, message: Mapping[str, Any]) -> None:
        match of_type(message, sent.TYPES).model_validate(message):
            case sent.SessionUpdate(session=session):
                self._manner = session.applied(self._manner)
                await self.tell({"type": "session.updated", "session": self._session()})
            case sent.ItemCreate(item=item, previous_item_id=after):
                turn, previous = self._conversation.create(item, after)
                added = turn.added(previous, beta=self._beta)
                await self.tell(added, *turn.done(beta=self._beta))
            case sent.ItemDelete(item_id=name):
                self._conversation.delete(name)
                await self.tell({"type": "conversation.item.deleted", "item_id": name})
            case sent.ItemRetrieve(item_id=name):
                found = self._conversation.find(name).wire
                await self.tell({"type": "conversation.item.retrieved", "item": found})
            case sent.ItemTruncate() as truncate:
                await self._truncate(truncate)
            case sent.ResponseCreate(response=response):
                await self._respond(response or sent.ResponseConfig())
            case sent.ResponseCancel(response_id=name):
                turns = [turn for key, turn in self._speaking.items() if name in (None, key)]
                if not turns:
                    problem = "Cancellation failed: no response is being spoken"
                    raise refusal("response_cancel_not_active", problem, "response_id")
                await self._cancel(turns)
            case sent.OutputClear():
                await self._cancel(list(self._speaking.values()))
                cleared = {"type": "output_audio_buffer.cleared", "response_id": self._latest}
                await self.tell(cleared)
            case sent.InputClear():
                await self.tell({"type": "input_audio_buffer.cleared"})
            case sent.InputAudio() if not self._was_deaf or "commit" in message["type"]:
                self._was_deaf = True  # told once, and not for each packet of a microphone
                problem = f"audio is not possible as input: {sent.DEAF}, send an item with text"
                raise refusal("input_audio_unsupported", problem, "type")

    async def on_event(self, event: Event) -> None:
        if (turn := self._speaking.get(event.utterance.name)) is None:
            return
        match event:
            case Started():
                item, part = turn.response.opening()
                added = (
                    []
                    if turn.is_apart
                    else [turn.added(self._conversation.add(turn), beta=self._beta)]
                )
                await self.tell(item, *added, part)
            case Audio() as audio:
                await self.tell(*turn.audio(audio))
            case Done():
                await self._close(turn, "completed")
            case Failed(_, error):
                await self._close(turn, "failed", {"error": vendor_error(self.socket, error)})

    async def on_error(self, error: VivavoceError, message: Mapping[str, Any]) -> None:
        name = message.get("event_id")
        about = {"event_id": name if isinstance(name, str) else None}
        await self.tell({"type": "error", "error": vendor_error(self.socket, error) | about})

    async def on_idle(self) -> None:
        problem = "the session has ended, since nothing was said for a while: connect again"
        await self.on_error(refusal("session_expired", problem, "session"), {})

    async def tell(self, *events: Mapping[str, Any]) -> None:
        await self.send_all([{"event_id": new_id("event"), **event} for event in events])

    async def _respond(self, config: sent.ResponseConfig) -> None:
        manner = config.applied(self._manner)
        is_apart = config.conversation == "none"
        if not is_apart and any(not turn.is_apart for turn in self._speaking.values()):
            problem = "a response is being spoken: wait for its end, or cancel it"
            raise refusal("conversation_already_has_active_response", problem, "conversation")
        text, source = self._conversation.text_for(config)
        # A persona is no manner of speaking, and often longer than one may be.
        instruct = manner.instructions.strip()
        is_manner = config.said is None and len(instruct) <= MAX_INSTRUCT_CHARS
        request = SpeechRequest(
            text="",
            model=self._model,
            speaker=manner.voice,
            instruct=(instruct or None) if is_manner else None,
            speed=manner.speed,
            format=manner.format,
            sample_rate_hz=sent.RATES[manner.format],
        )
        facts = sent.wire_response(manner) | {"metadata": config.metadata}
        facts["conversation_id"] = None if is_apart else self._conversation_id
        response = Response(BETA if self._beta else GA, facts)
        # Nothing waits from here to `tell`, so the first event of all is this one.
        utterance = self.begin(request, response.id)
        turn = SpokenTurn.of(response, utterance, text, is_apart=is_apart)
        self._speaking[response.id], self._latest = turn, response.id
        try:
            self.session.append(utterance, text)
        except BadRequest:
            del self._speaking[response.id]
            await utterance.aclose()
            raise
        utterance.end()
        if source is not None:
            source.is_new = False
        await self.tell(response.created())

    async def _cancel(self, turns: Sequence[SpokenTurn]) -> None:
        await self.session.stop(turn.utterance for turn in turns)
        for turn in turns:
            await self._close(turn, "cancelled", {"reason": "client_cancelled"})

    async def _truncate(self, truncate: sent.ItemTruncate) -> None:
        turn = self._conversation.find(truncate.item_id)
        if not isinstance(turn, SpokenTurn):
            problem = f"item {turn.id!r} was not spoken: only the audio of a response can be cut"
            raise BadRequest(problem, field="item_id")
        played_s = truncate.audio_end_ms / 1000
        if turn.response.closed:
            await turn.utterance.wait_ended()  # its last events may be on their way
            if played_s > turn.utterance.sent_s + 0.001:
                problem = f"the audio has {round(1000 * turn.utterance.sent_s)} ms, which is less"
                raise BadRequest(f"audio_end_ms: {problem}", field="audio_end_ms")
        heard = await turn.utterance.interrupt(played_s)
        await self._close(turn, "cancelled", {"reason": "client_cancelled"})
        await self.tell(turn.truncated(heard))

    async def _close(
        self, turn: SpokenTurn, status: Status, details: Mapping[str, Any] | None = None
    ) -> None:
        self._speaking.pop(turn.response.id, None)
        await self.tell(*turn.closing(status, details, beta=self._beta))

    def _session(self) -> Mapping[str, Any]:
        about = sent.wire_session(self._manner, self._asked, beta=self._beta)
        return {"id": self._id, **about}
