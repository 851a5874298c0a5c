"""Serve DashScope's tasks of CosyVoice: `WS /api-ws/v1/inference`.

See `docs/live-dialects.md`. A task is one text in one voice. A connection has one after the other.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter, WebSocket

from vivavoce.api.live.realtime.response import model_of, refusal
from vivavoce.api.live.socket import LiveSocket
from vivavoce.api.schemas.dashscope import MODELS, TaskMessage
from vivavoce.errors import VivavoceError
from vivavoce.sessions.events import Audio, Done, Event, Failed, Started
from vivavoce.sessions.utterance import Utterance
from vivavoce.types import TimedWord

router = APIRouter(tags=["live"])


@router.websocket("/api-ws/v1/inference")
@router.websocket("/api-ws/v1/inference/")
async def inference(socket: WebSocket) -> None:
    await TaskSocket(socket).run()


@dataclass(eq=False, slots=True)
class Task:
    """A task that runs."""

    id: str
    utterance: Utterance
    words: list[TimedWord] = field(default_factory=list)

    def event(self, name: str, payload: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
        return _event(self.id, name, payload)

    def result(self, kind: str, **more: Any) -> Mapping[str, Any]:
        """Return a `result-generated`. All of a task is one sentence, whose words its end has."""
        words = self.words if kind == "sentence-end" else ()
        sentence = {"index": 0, "words": [_timed(word) for word in words]}
        output: dict[str, Any] = {"type": kind, "sentence": sentence}
        return self.event("result-generated", {"output": output, **more})

    def usage(self) -> Mapping[str, Any]:
        return {"usage": {"characters": len(self.utterance.text)}}


class TaskSocket(LiveSocket):
    _task: Task | None = None

    async def on_message(self, message: Mapping[str, Any]) -> None:
        sent = TaskMessage.model_validate(message)
        header, given = sent.header, sent.payload.input
        if header.action == "run-task":
            await self._run(sent)
        task = self._found(header.task_id)
        if given.text:
            self.session.append(task.utterance, given.text)
        if given.flush:
            task.utterance.flush()
        if given.directive == "cancel":
            self._task = None
            await task.utterance.interrupt()
            await self.send(task.event("task-finished", task.usage()))
        elif header.action == "finish-task" or header.streaming == "out":
            task.utterance.end()

    async def on_event(self, event: Event) -> None:
        task = self._task
        if task is None or task.utterance is not event.utterance:
            return
        match event:
            case Started():
                await self.send(task.result("sentence-begin"))
            case Audio(utterance, data, words):
                if data:
                    await self.send(task.result("sentence-synthesis"), data)
                if utterance.request.timestamps is not None:
                    task.words += words
            case Done(utterance):
                self._task = None
                end = [task.result("sentence-end", **task.usage())] if utterance.speech else []
                await self.send_all([*end, task.event("task-finished", task.usage())])
            case Failed(_, error):
                self._task = None
                await self.send(_failed(task.id, error))

    async def on_error(self, error: VivavoceError, message: Mapping[str, Any]) -> None:
        """Tell that a task failed. It ends, if it was running."""
        header = message.get("header")
        name = header.get("task_id") if isinstance(header, dict) else None
        task = self._task
        if task is not None and (name == task.id or not isinstance(name, str)):
            self._task, name = None, task.id
            await task.utterance.aclose()
        await self.send(_failed(name if isinstance(name, str) else "", error))

    async def _run(self, sent: TaskMessage) -> None:
        if self._task is not None:
            raise refusal(
                "InvalidParameter",
                f"task {self._task.id!r} is running on this connection: finish it first",
                "header.task_id",
            )
        model = model_of(sent.payload.model, MODELS, self.server.synthesizer.pool)
        # Nothing waits between `begin` and `send`, so the first event of all is this one.
        self._task = Task(sent.header.task_id, self.begin(sent.payload.to_request(model)))
        await self.send(self._task.event("task-started"))

    def _found(self, name: str) -> Task:
        if self._task is None or self._task.id != name:
            problem = f"task {name!r} is not running on this connection: send run-task first"
            raise refusal("InvalidParameter", problem, "header.task_id")
        return self._task


def _event(task_id: str, name: str, payload: Mapping[str, Any] | None = None) -> dict[str, Any]:
    header: dict[str, Any] = {"task_id": task_id, "event": name, "attributes": {}}
    return {"header": header, "payload": payload or {}}


def _failed(task_id: str, error: VivavoceError) -> Mapping[str, Any]:
    event = _event(task_id, "task-failed")
    event["header"] |= {"error_code": error.code, "error_message": error.message}
    return event


def _timed(word: TimedWord) -> Mapping[str, Any]:
    return {
        "text": word.word,
        "begin_index": word.start,
        "end_index": word.end,
        "begin_time": round(1000 * word.start_s),
        "end_time": round(1000 * word.end_s),
    }
