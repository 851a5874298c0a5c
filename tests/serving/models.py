"""Define models for process tests: the other process imports them by name."""

import re
import threading
from collections.abc import Callable, Sequence

import numpy as np

from vivavoce.errors import BadRequest, Unsupported
from vivavoce.models.tone import Fault, ToneModel, ToneStream
from vivavoce.serving.base import AnyModel
from vivavoce.serving.local import LocalEngine
from vivavoce.serving.subprocess.client import in_process
from vivavoce.serving.subprocess.server import ProcessConfig
from vivavoce.serving.supervisor import SupervisedEngine
from vivavoce.types import PreparedVoice, Reference, Samples, Segment, StopReason

HANGS = {"hang": Fault("hang")}


def supervised(make: Callable[[], AnyModel], *, max_step_s: float) -> SupervisedEngine:
    """Return an engine over a model in a process of its own."""
    return SupervisedEngine(
        lambda: LocalEngine(in_process(make, "tone", ProcessConfig("critical"))),
        max_step_s=max_step_s,
    )


class Stuck(ToneModel):
    """A model whose step never ends and never releases Python's lock."""

    def step(
        self, streams: Sequence[ToneStream], ahead_s: Sequence[float] = ()
    ) -> Sequence[Samples | StopReason]:
        re.match(r"(a+)+$", "a" * 60 + "b")
        raise AssertionError("a search of some thousand years")


class Meeting(ToneModel):
    """A model whose step ends when another one has begun."""

    def __init__(self) -> None:
        super().__init__(lanes=2)
        self._meeting = threading.Barrier(2)

    def step(
        self, streams: Sequence[ToneStream], ahead_s: Sequence[float] = ()
    ) -> Sequence[Samples | StopReason]:
        self._meeting.wait(30)
        return super().step(streams, ahead_s)


class Hungry(ToneModel):
    """A model that takes a gigabyte for a step with the voice `hum`."""

    def step(
        self, streams: Sequence[ToneStream], ahead_s: Sequence[float] = ()
    ) -> Sequence[Samples | StopReason]:
        if any(stream.segment.voice == "hum" for stream in streams):
            np.ones(1 << 27)
        return super().step(streams, ahead_s)


class Cloning(ToneModel):
    """A model that speaks with the length of a recording as its seed.

    It rejects empty texts and recordings.
    """

    def prepare(self, reference: Reference) -> PreparedVoice:
        if not reference.samples.size:
            raise BadRequest("the recording is too short", field="ref_audio")
        return [len(reference.samples)]

    def open(self, segment: Segment) -> ToneStream:
        if not segment.text:
            raise Unsupported(f"there is nothing to say in {segment.text!r}", field="text")
        seed = segment.prepared[0] if isinstance(segment.prepared, list) else 0
        return super().open(Segment(segment.text, segment.voice, segment.language, seed=seed))
