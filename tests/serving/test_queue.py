"""Test who is next in the queue, who is rejected, and when to retry."""

import math
import random

import pytest

from vivavoce.errors import Overloaded
from vivavoce.models.tone import RATE_HZ, ToneModel
from vivavoce.serving.queue import (
    BATCH_PATIENCE_S,
    KEPT_S,
    Limits,
    Pace,
    QueuedSegment,
    RequestQueue,
)
from vivavoce.types import Priority, QueueHints, Segment


def queue(
    *,
    lanes: int = 1,
    max_queued_requests: int = 64,
    max_queued_audio_s: float = 600.0,
    max_ahead_s: float = 30.0,
    timeout_s: float = math.inf,
) -> RequestQueue:
    return RequestQueue(
        ToneModel().info,
        lanes,
        Limits(max_queued_requests, max_queued_audio_s, max_ahead_s, timeout_s),
    )


def queued(
    at_s: float,
    *,
    audio_s: float = 5.0,
    priority: Priority = "interactive",
    caller: str = "",
    timeout_s: float = math.inf,
    follows: QueuedSegment | None = None,
) -> QueuedSegment:
    hints = QueueHints(audio_s, priority, caller, timeout_s)
    return QueuedSegment(Segment("hello", "sine", "en", hints=hints), at_s, follows)


def served(waiting: RequestQueue) -> list[QueuedSegment]:
    """Return all waiting segments in their order."""
    order = []
    while (first := waiting.pop()) is not None:
        order.append(first)
    return order


def test_new_requests_are_served_as_they_came() -> None:
    waiting, segments = queue(), [queued(float(at)) for at in range(5)]
    for one in random.Random(0).sample(segments, 5):
        waiting.push(one)
    assert served(waiting) == segments


def test_batch_gives_way_for_its_patience_and_no_longer() -> None:
    waiting = queue()
    batch = queued(100.0, priority="batch")
    others = [
        queued(100.0 + after) for after in (1.0, BATCH_PATIENCE_S - 1, BATCH_PATIENCE_S + 1, 50.0)
    ]
    for one in (batch, *others):
        waiting.push(one)
    assert served(waiting) == [*others[:2], batch, *others[2:]]


def test_batch_leaves_a_lane_free_while_people_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 0.0
    monkeypatch.setattr("vivavoce.serving.queue.time.monotonic", lambda: now_s)
    waiting = queue(lanes=2)
    first, second = (queued(0.0, priority="batch") for _ in range(2))
    waiting.push(first)
    waiting.push(second)
    assert waiting.pop() is first
    assert waiting.pop({first}) is second  # nobody has asked yet
    waiting.push(person := queued(1.0))
    waiting.push(second)
    assert waiting.pop({first}) is person
    assert waiting.pop({first}) is None
    person.made = 1
    assert waiting.pop({person}) is second  # one lane is busy with a person
    waiting.push(second)
    now_s = KEPT_S + 1
    assert waiting.pop({first}) is second


def test_batch_waits_for_the_first_audio_of_a_person(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 0.0
    monkeypatch.setattr("vivavoce.serving.queue.time.monotonic", lambda: now_s)
    waiting = queue(lanes=3)
    waiting.push(batch := queued(0.0, priority="batch"))
    person = queued(0.0)
    assert waiting.pop({person}) is None
    person.made = 1
    assert waiting.peek({person}) is batch
    person.made, now_s = 0, BATCH_PATIENCE_S
    assert waiting.pop({person}) is batch  # it has waited long enough


def test_batch_takes_the_only_lane() -> None:
    waiting = queue()
    waiting.push(queued(0.0))
    waiting.push(batch := queued(0.0, priority="batch"))
    assert served(waiting)[-1] is batch


def test_next_segment_comes_before_a_new_request_when_its_listener_has_nothing_left() -> None:
    waiting = queue()
    spoken = queued(0.0)
    spoken.play_started_s, spoken.made = 8.0, 3 * RATE_HZ
    following, sooner, later = queued(1.0, follows=spoken), queued(10.5), queued(11.5)
    for one in (later, sooner, following):
        waiting.push(one)
    assert served(waiting) == [sooner, following, later]


def test_caller_with_many_requests_holds_up_nobody_with_few() -> None:
    waiting = queue()
    crowd = [queued(100.0, caller="many") for _ in range(20)]
    for one in crowd:
        waiting.push(one)
    few = queued(101.0, caller="few")
    waiting.push(few)
    assert served(waiting).index(few) == 1
    # Each alone is served in its own order.
    assert [one.turn for one in crowd] == sorted(one.turn for one in crowd)


def test_callers_who_always_ask_get_equal_audio_whatever_the_length_of_their_texts() -> None:
    waiting, now_s = queue(), 0.0
    got = {"short": 0.0, "long": 0.0}
    length = {"short": 2.0, "long": 10.0}
    for caller in got:
        for _ in range(10):
            waiting.push(queued(now_s, caller=caller, audio_s=length[caller]))
    for _ in range(600):
        first = waiting.pop()
        assert first is not None
        hints = first.segment.hints
        got[hints.caller] += hints.audio_s
        now_s += hints.audio_s
        waiting.pace.add(hints.audio_s, hints.audio_s)
        waiting.push(queued(now_s, caller=hints.caller, audio_s=hints.audio_s))
    assert got["short"] == pytest.approx(got["long"], rel=0.1)


def test_no_more_than_the_limit_of_requests_and_of_audio_may_wait() -> None:
    by_number, by_audio = queue(max_queued_requests=3), queue(max_queued_audio_s=20.0)
    for _ in range(3):
        by_number.push(queued(0.0))
    with pytest.raises(Overloaded, match="3 requests waiting"):
        by_number.push(queued(0.0))
    for _ in range(4):
        by_audio.push(queued(0.0, audio_s=5.0))
    with pytest.raises(Overloaded, match="20 seconds of audio waiting"):
        by_audio.push(queued(0.0, audio_s=0.1))
    by_audio.push(queued(0.0, follows=queued(0.0)))  # of a request that was accepted


def test_long_text_is_taken_in_when_nobody_waits_and_counts_no_more_than_its_beginning() -> None:
    waiting = queue(max_queued_audio_s=20.0, max_ahead_s=15.0)
    waiting.push(queued(0.0, audio_s=10_000.0))
    waiting.push(queued(0.0, audio_s=5.0))
    with pytest.raises(Overloaded):
        waiting.push(queued(0.0, audio_s=1.0))


def test_half_of_the_places_is_kept_from_a_caller_who_has_the_other_half() -> None:
    waiting = queue(max_queued_requests=4)
    for _ in range(2):
        waiting.push(queued(0.0, caller="many"))
    with pytest.raises(Overloaded, match="2 requests of yours"):
        waiting.push(queued(0.0, caller="many"))
    waiting.push(queued(0.0, caller="few"))
    waiting.push(queued(0.0))


def test_retry_after_is_when_the_model_will_have_made_room() -> None:
    waiting = queue(max_queued_audio_s=100.0)
    for _ in range(60):
        waiting.pace.add(audio_s=0.5, busy_s=1.0)  # half of real time
    for _ in range(10):
        waiting.push(queued(0.0, audio_s=10.0))
    with pytest.raises(Overloaded) as refusal:
        waiting.push(queued(0.0, audio_s=8.0))
    assert refusal.value.retry_after_s == pytest.approx(16.0, abs=1.0)


def test_request_that_cannot_begin_in_time_is_refused_at_once() -> None:
    waiting = queue()
    for _ in range(4):
        waiting.push(queued(0.0, audio_s=5.0))
    with pytest.raises(
        Overloaded, match=r"about 20\.0 s of work waiting, and this request may wait 10\.0 s"
    ) as refusal:
        waiting.push(queued(0.0, timeout_s=10.0))
    assert refusal.value.retry_after_s == pytest.approx(10.0, abs=1.0)
    waiting.push(queued(0.0, timeout_s=10.0), free=2)  # two of them begin at once
    waiting.push(queued(0.0, timeout_s=30.0))


def test_nobody_joins_who_would_wait_too_long_and_who_has_is_refused() -> None:
    waiting = queue(timeout_s=10.0)
    begins, waits = queued(0.0, audio_s=10.0), queued(1.0, audio_s=10.0)
    waiting.push(begins)
    waiting.push(waits)
    with pytest.raises(Overloaded, match=r"this request may wait 10\.0 s"):
        waiting.push(queued(2.0, timeout_s=30.0))
    assert waiting.pop() is begins
    assert waiting.expire(begins) is None
    refusal = waiting.expire(waits)
    assert refusal is not None
    assert "no place for this request within 10 s" in refusal.message
    assert len(waiting) == 0
    assert waiting.expire(waits) is None


def test_pace_follows_what_the_model_makes_of_late() -> None:
    pace = Pace(lanes=2)
    assert pace.seconds_for(10.0) == pytest.approx(10.0)
    for _ in range(1000):
        pace.add(audio_s=0.1, busy_s=0.1)
    assert pace.seconds_for(10.0) == pytest.approx(
        5.0, rel=0.01
    )  # each of two lanes as fast as speech
    for _ in range(1000):
        pace.add(audio_s=0.4, busy_s=0.1)
    assert pace.seconds_for(10.0) == pytest.approx(1.25, rel=0.01)
