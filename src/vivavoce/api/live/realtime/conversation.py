"""Keep the items of one conversation, and choose what a response says."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from vivavoce.api.live.realtime.response import (
    Response,
    Status,
    Wire,
    new_id,
    refusal,
    usage_of,
)
from vivavoce.api.schemas.realtime import Item, ResponseConfig
from vivavoce.api.surfaces import OPENAI
from vivavoce.errors import BadRequest
from vivavoce.sessions.events import Audio
from vivavoce.sessions.heard import Heard
from vivavoce.sessions.utterance import Utterance

MAX_ITEMS: Final = 256


@dataclass(eq=False, slots=True)
class Turn:
    """An item of the conversation: what a client sent, or what a response says.

    `wire` is the item as it is told. `is_new` is true for a text to speak that was not spoken.
    `is_apart` is true for a response outside of the conversation.
    """

    id: str
    wire: Wire
    text: str
    is_new: bool = False
    is_apart: bool = False

    def added(self, previous: str | None, *, beta: bool) -> Wire:
        """Return the event of a new item, which is behind the item `previous`."""
        kind = f"conversation.item.{'created' if beta else 'added'}"
        return {"type": kind, "previous_item_id": previous, "item": self.wire}

    def done(self, *, beta: bool) -> Sequence[Wire]:
        """Return the event of an item that is complete, which the first version has not."""
        return [] if beta else [{"type": "conversation.item.done", "item": self.wire}]


@dataclass(eq=False, slots=True, kw_only=True)
class SpokenTurn(Turn):
    """What a response says."""

    response: Response
    utterance: Utterance

    @classmethod
    def of(cls, response: Response, utterance: Utterance, text: str, *, is_apart: bool) -> Self:
        item = response.item("in_progress")
        return cls(
            response.item_id, item, text, is_apart=is_apart, response=response, utterance=utterance
        )

    def audio(self, event: Audio) -> Sequence[Wire]:
        """Return the events of the next audio and its words."""
        told, text = len(self.response.transcript), self.utterance.text
        end = event.words[-1].end if event.words else 0
        speech = self.utterance.speech
        if not event.words and speech is not None and not speech.words:
            end = sum(map(len, self.utterance.texts))  # its model tells no times
        return self.response.delta(event.data, text[told:end])

    def closing(
        self, status: Status, details: Mapping[str, Any] | None = None, *, beta: bool
    ) -> Sequence[Wire]:
        """Return the events that end the response, none if they were told."""
        response = self.response
        if response.closed:
            return []
        speech, events = self.utterance.speech, list[Wire]()
        if status == "completed" and response.opened:
            rest = self.utterance.text[len(response.transcript) :]
            events += response.delta(b"", rest)
        usage = usage_of(len(self.utterance.text), self.utterance.sent_s)
        closing = response.closing(status, usage, details)
        ignored = [] if speech is None else speech.ignored
        names = [OPENAI.field_names.get(field, field) for field in ignored]
        closing[-1]["response"]["ignored"] = names
        self.wire = response.item("completed" if status == "completed" else "incomplete")
        if response.opened and not self.is_apart:
            closing[-2:-2] = self.done(beta=beta)
        return [*events, *closing]

    def truncated(self, heard: Heard) -> Wire:
        """Return the event of an item that was not heard to its end. The item says the rest."""
        self.wire = self.response.item("incomplete", heard.heard)
        about = {
            "item_id": self.id,
            "content_index": 0,
            "audio_end_ms": round(1000 * heard.audio_s),
        }
        about |= {"transcript": heard.heard, "unheard": heard.unheard}
        return {"type": "conversation.item.truncated", **about}


class Conversation:
    """The turns of a client, in order. The oldest are forgotten.

    A text has at most `max_chars` characters, and all of them twice as many.
    """

    def __init__(self, max_chars: int) -> None:
        self._max_chars = max_chars
        self._turns: list[Turn] = []

    def find(self, name: str) -> Turn:
        """Return a turn by its id. Raises `BadRequest`."""
        for turn in self._turns:
            if turn.id == name:
                return turn
        problem = f"item {name[:80]!r} is not in the conversation: create it first"
        raise refusal("item_not_found", problem, "item_id")

    def create(self, item: Item, after: str | None) -> tuple[Turn, str | None]:
        """Add what a client sent behind the item `after`. Raises `BadRequest`.

        Returns it with the id of the item before it.
        """
        item.checked()
        name = item.id or new_id("item")
        if any(turn.id == name for turn in self._turns):
            problem = f"item {name!r} is in the conversation: use another id, or none"
            raise refusal("item_create_duplicate_id", problem, "item.id")
        if len(item.text) > self._max_chars:
            problem = f"text has {len(item.text):,} characters, the limit is {self._max_chars:,}"
            raise BadRequest(f"{problem}: send it in parts", field="item.content")
        wire: Wire = {
            "id": name,
            "object": "realtime.item",
            "type": "message",
            "status": "completed",
        }
        content = [part.model_dump(exclude_none=True) for part in item.content]
        wire |= {"role": item.role, "content": content}
        is_new = item.role != "system" and any(map(str.isalnum, item.text))
        turn = Turn(name, wire, item.text, is_new)
        return turn, self.add(turn, after)

    def add(self, turn: Turn, after: str | None = None) -> str | None:
        """Add `turn` behind the item `after`. Returns the id of the item before it."""
        at = len(self._turns)
        if after is not None:
            at = 0 if after == "root" else self._turns.index(self.find(after)) + 1
        previous = self._turns[at - 1].id if at else None
        self._turns.insert(at, turn)
        chars = sum(len(one.text) for one in self._turns)
        while len(self._turns) > MAX_ITEMS or chars > 2 * self._max_chars:
            chars -= len(self._turns.pop(0).text)
        return previous

    def delete(self, name: str) -> None:
        """Forget a turn. Raises `BadRequest`."""
        self._turns.remove(self.find(name))

    def text_for(self, config: ResponseConfig) -> tuple[str, Turn | None]:
        """Return what a response is to say, and the turn that it is from. Raises `BadRequest`.

        That is the text of its input, else of the latest item that was not spoken, else what its
        instructions say after "say:".
        """
        turn = None
        if config.input is not None:
            text = "\n\n".join(filter(None, self._texts(config.input)))
        else:
            turn = next((turn for turn in reversed(self._turns) if turn.is_new), None)
            text = "" if turn is None else turn.text
        if not any(map(str.isalnum, text)):
            text = config.said or text
        if not any(map(str.isalnum, text)):
            raise refusal(
                "nothing_to_say",
                "there is nothing to say: create an item with text, send response.input, or "
                "instructions that begin with 'Say:'",
                "response.input",
            )
        if len(text) > self._max_chars:
            problem = f"text has {len(text):,} characters, the limit is {self._max_chars:,}"
            raise BadRequest(f"{problem}: send it in parts", field="response.input")
        return text, turn

    def _texts(self, items: Sequence[Item]) -> Iterable[str]:
        for item in items:
            if item.type == "item_reference":
                yield self.find(item.id or "").text
            elif item.checked().role != "system":
                yield item.text
