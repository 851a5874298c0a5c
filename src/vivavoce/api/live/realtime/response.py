"""Build the events of a response and of its one item, as OpenAI's realtime protocol has them.

DashScope's protocol has the same events under older names. A response ends once.
"""

import base64
import json
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from starlette.websockets import WebSocket

from vivavoce.api.errors import error_body, field_name, status_of
from vivavoce.api.responses import FRAME_S
from vivavoce.errors import BadRequest, VivavoceError
from vivavoce.serving.pool import Pool

Wire = dict[str, Any]  # a message, or an object in it
Status = Literal["completed", "cancelled", "failed", "incomplete"]


@dataclass(frozen=True, slots=True)
class Names:
    """The names that differ between the protocols."""

    audio: str  # in `response.….delta`
    transcript: str | None  # None: there is none
    content: str  # the type of an item's content


GA: Final = Names("output_audio", "output_audio_transcript", "output_audio")
BETA: Final = Names("audio", "audio_transcript", "audio")
DASHSCOPE: Final = Names("audio", None, "audio")


class Response:
    """One response. `facts` are those of its object that do not change.

    `opened` is true once its item is told, `closed` once its end is.
    """

    def __init__(self, names: Names, facts: Mapping[str, Any]) -> None:
        self.id = new_id("resp")
        self.item_id = new_id("item")
        self.facts = facts
        self.opened = self.closed = False
        self.transcript = ""  # that was told
        self._names = names

    def created(self) -> Wire:
        return {"type": "response.created", "response": self._object("in_progress", [])}

    def opening(self) -> Sequence[Wire]:
        """Return the events before the first audio."""
        self.opened = True
        item = self.item("in_progress") | {"content": []}
        return (
            {"type": "response.output_item.added", **self._place(), "item": item},
            {"type": "response.content_part.added", **self._part(), "part": self._content("")},
        )

    def delta(self, data: bytes, transcript: str) -> Sequence[Wire]:
        """Return the events of the next audio, and of what it says."""
        events: list[Wire] = []
        names, self.transcript = self._names, self.transcript + transcript
        if names.transcript and transcript:
            kind = f"response.{names.transcript}.delta"
            events.append({"type": kind, **self._part(), "delta": transcript})
        if data:
            audio = base64.b64encode(data).decode("ascii")
            kind = f"response.{names.audio}.delta"
            events.append({"type": kind, **self._part(), "delta": audio})
        return events

    def closing(
        self,
        status: Status,
        usage: Mapping[str, Any],
        details: Mapping[str, Any] | None = None,
    ) -> list[Wire]:
        """Return the events that end the response. The last one has its object."""
        self.closed = True
        names, events, output = self._names, list[Wire](), list[Wire]()
        if self.opened:
            told = self.transcript
            item = self.item("completed" if status == "completed" else "incomplete")
            output.append(item)
            part = {"part": self._content(told)}
            events.append({"type": f"response.{names.audio}.done", **self._part()})
            if names.transcript:
                kind = f"response.{names.transcript}.done"
                events.append({"type": kind, **self._part(), "transcript": told})
            events.append({"type": "response.content_part.done", **self._part(), **part})
            events.append({"type": "response.output_item.done", **self._place(), "item": item})
        response = self._object(status, output) | {"usage": usage}
        response["status_details"] = details and {"type": status, **details}
        return [*events, {"type": "response.done", "response": response}]

    def item(self, status: str, transcript: str | None = None) -> Wire:
        """Return the item that holds what is said, by default all that was told."""
        content: Wire = {"type": self._names.content}
        if self._names.transcript:
            content["transcript"] = self.transcript if transcript is None else transcript
        item = {"id": self.item_id, "object": "realtime.item", "type": "message"}
        return {**item, "status": status, "role": "assistant", "content": [content]}

    def _object(self, status: str, output: Sequence[Wire]) -> Wire:
        about = {"id": self.id, "object": "realtime.response", "status": status}
        return {**about, "status_details": None, "output": output, **self.facts, "usage": None}

    def _place(self) -> Wire:
        return {"response_id": self.id, "output_index": 0}

    def _part(self) -> Wire:
        return {**self._place(), "item_id": self.item_id, "content_index": 0}

    def _content(self, transcript: str) -> Wire:
        if self._names.transcript:
            return {"type": "audio", "transcript": transcript}
        return {"type": "audio", "text": ""}


def new_id(kind: str) -> str:
    return f"{kind}_{uuid.uuid4().hex[:24]}"


def usage_of(chars: int, audio_s: float) -> Mapping[str, Any]:
    """Return the usage in the units of `POST /v1/audio/speech`: characters, and frames of audio."""
    frames = round(audio_s / FRAME_S)
    return {
        "input_tokens": chars,
        "output_tokens": frames,
        "total_tokens": chars + frames,
        "input_token_details": {"text_tokens": chars, "audio_tokens": 0, "cached_tokens": 0},
        "output_token_details": {"text_tokens": 0, "audio_tokens": frames},
    }


def refusal(code: str, message: str, field: str) -> BadRequest:
    """Return an error with a protocol's own `code`, by which its clients tell it."""
    error = BadRequest(message, field=field)
    error.code = code
    return error


def vendor_error(socket: WebSocket, error: VivavoceError) -> Wire:
    """Return `error` in the form of OpenAI's errors: type, code, message and param."""
    field = field_name(socket, error.field) if isinstance(error, BadRequest) else None
    body = error_body(
        socket.scope, status_of(error), code=error.code, message=error.message, field=field
    )
    facts = json.loads(body)["error"]
    assert isinstance(facts, dict)
    return facts


def model_of(asked: str | None, vendors: re.Pattern[str], pool: Pool) -> str:
    """Return the model that is `asked` for. A vendor's own names mean `auto` if none is so named.

    The pool decides what else a name means.
    """
    name = (asked or "").strip()
    if not name or (name.lower() not in pool.names and vendors.match(name.lower())):
        return "auto"
    return name
