"""Check that a scheduler does no work for a segment whose listener has left."""

import threading
from collections.abc import Callable, Sequence

from vivavoce.models.tone import ToneModel, ToneStream
from vivavoce.serving.queue import Limits
from vivavoce.serving.scheduler import Delivery, Scheduler
from vivavoce.types import Samples, Segment, StopReason


class Recorded(ToneModel):
    """Record the texts that were opened and stepped, and call `on_open` with each one opened."""

    def __init__(self) -> None:
        super().__init__(lanes=1)
        self.opened: list[str] = []
        self.stepped: list[str] = []
        self.on_open: Callable[[str], None] = lambda text: None

    def open(self, segment: Segment) -> ToneStream:
        self.opened.append(segment.text)
        stream = super().open(segment)
        self.on_open(segment.text)
        return stream

    def step(
        self, streams: Sequence[ToneStream], ahead_s: Sequence[float] = ()
    ) -> Sequence[Samples | StopReason]:
        self.stepped += [stream.segment.text for stream in streams]
        return super().step(streams, ahead_s)


def test_newcomer_is_spoken_without_a_step_or_an_opening_for_sixty_who_left() -> None:
    """The first is open when all of them leave, the others wait."""
    model, ended = Recorded(), threading.Event()

    def deliver(delivery: Delivery) -> None:
        if any(isinstance(event, StopReason) for _, event in delivery):
            ended.set()

    scheduler = Scheduler(model, deliver, Limits())
    crowd = [scheduler.submit(Segment(f"crowd {n}", "sine", "en")) for n in range(60)]
    follower = scheduler.submit(Segment("more of it", "sine", "en"), follows=crowd[0])

    def leave(text: str) -> None:
        if text == crowd[0].segment.text:
            for queued in (*crowd, follower):
                scheduler.cancel(queued)
            scheduler.submit(Segment("newcomer", "sine", "en"))

    model.on_open = leave
    scheduler.start()
    try:
        assert ended.wait(10)
    finally:
        scheduler.stop()
    assert model.opened == [crowd[0].segment.text, "newcomer"]
    assert set(model.stepped) == {"newcomer"}
