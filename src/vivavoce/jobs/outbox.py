"""Word what webhooks tell of a job, and keep it until it is delivered."""

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import astuple
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from vivavoce.jobs.webhooks import Message, Webhook

if TYPE_CHECKING:
    from vivavoce.jobs.store import Store

TOLD: Final = frozenset({"done", "failed", "cancelled", "paused"})  # states


def worded(
    job: Mapping[str, Any], state: str, problem: str, now_s: float
) -> tuple[object, ...] | None:
    """Return the row of what is told of a job that came into `state`, or None if nobody asks."""
    if not job["webhook"] or state not in TOLD:
        return None
    webhook, id = Webhook(**json.loads(job["webhook"])), f"msg_{secrets.token_hex(12)}"
    event = {
        "id": id,
        "object": "event",
        "type": f"job.{state}",
        "created_at": int(now_s),
        "timestamp": datetime.fromtimestamp(now_s, UTC).isoformat(),
        "data": {"id": job["id"], "state": state, "title": job["title"], "problem": problem},
    }
    return astuple(Message(id, webhook.url, webhook.secret, json.dumps(event), due_s=now_s))


class StoredMessages:
    """The messages of a store. Every method blocks."""

    def __init__(self, store: "Store") -> None:
        self._store = store

    def claim_messages(self, limit: int, now_s: float, until_s: float) -> Sequence[Message]:
        due = "SELECT id FROM messages WHERE due_s <= ? ORDER BY due_s, id LIMIT ?"
        if not self._store.rows(due, now_s, limit):  # without a lock, as nearly always
            return ()
        sql = f"UPDATE messages SET due_s = ? WHERE id IN ({due}) RETURNING *"
        return [Message(**row) for row in self._store.changed(sql, until_s, now_s, limit)]

    def postpone_message(self, message: Message) -> None:
        sql = "UPDATE messages SET tries = ?, due_s = ? WHERE id = ?"
        self._store.write(sql, message.tries, message.due_s, message.id)

    def remove_message(self, id: str) -> None:
        self._store.write("DELETE FROM messages WHERE id = ?", id)
