"""The parts of the trials `abuse-…` that compute: what is attacked with, watched and counted."""

import asyncio
import json
import os
import tempfile
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import typer
from benchmarks.attack_requests import (
    BODIES,
    FAR_VOICE,
    INSTRUCT_CHARS,
    TEXTS,
    chunked_head,
    instructions,
    run,
)
from benchmarks.attacks import ATTACKS
from benchmarks.endurance import TRIALS
from benchmarks.far import far_server
from benchmarks.load import Answer, Question, ask
from benchmarks.player import Arrival
from benchmarks.soak import chosen
from benchmarks.under_attack import Siege, measures
from benchmarks.vitals import (
    GIVE_UP_S,
    Check,
    Held,
    Vitals,
    family,
    open_files,
    resident_bytes,
    watched,
)
from benchmarks.wire import Address

from vivavoce.remote.engine import RemoteEngine
from vivavoce.settings import Settings

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def siege(outcomes: dict[str, int], answers: list[Answer], before: Vitals, during: Vitals) -> Siege:
    return Siege(0.0, 20.0, Counter(outcomes), before, during, answers, 0, [0.0])


def measured(name: str, seen: Siege) -> dict[str, float]:
    return {measure.name: measure.value for measure in measures(ATTACKS[name], seen)}


@asynccontextmanager
async def listening(serve: Serve) -> AsyncGenerator[Address]:
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield Address("127.0.0.1", server.sockets[0].getsockname()[1])


def test_texts_are_as_long_as_the_server_allows() -> None:
    longest = Settings.model_fields["max_text_chars"].default
    texts = [json.loads(request.body())["text"] for request in TEXTS]
    assert all(longest - 10 < len(text) <= longest for text in texts)
    assert all(text[0] == text[-1] == "a" for text in texts)
    assert run("http://").count("http://") == 14_285


def test_bodies_come_in_pairs_of_two_sizes() -> None:
    assert abs(len(BODIES[4].body()) - 12_000_000) < 100
    assert all(abs(len(request.body()) - 1_900_000) < 100 for request in BODIES[1::2])


def test_bodies_are_json_unless_they_nest_without_end() -> None:
    flat = [json.loads(request.body()) for request in BODIES[1:8:2]]
    assert all(body.get("text", body.get("input")) == "Hello." for body in flat)
    assert len(flat[0]) > 100_000
    assert len(flat[2]["speaker"]) > 900_000


def test_instructions_are_megabytes_for_the_models_named() -> None:
    bodies = [json.loads(request.body()) for request in instructions("design", "base")]
    assert [body["model"] for body in bodies] == ["design", "design", "base"] * 2
    assert len(bodies[0]["instruct"]) == INSTRUCT_CHARS
    assert {"instruct", "instructions", "ref_text"} <= {name for body in bodies for name in body}


def test_chunked_body_begins_as_json_does() -> None:
    head, _, body = chunked_head("x").partition(b"\r\n\r\n")
    size, _, rest = body.partition(b"\r\n")
    assert b"Transfer-Encoding: chunked" in head
    assert len(rest) == int(size, 16) + 2


async def test_far_server_offers_a_voice_outside_latin_1() -> None:
    async with far_server() as url:
        engine = RemoteEngine("far", [(url, "far")])
        await engine.start()
        assert [voice.name for voice in engine.info.voices] == [FAR_VOICE]
        await engine.aclose()


def test_family_is_all_that_descends_from_a_process() -> None:
    assert sorted(family(10, {10: 1, 11: 10, 12: 11, 13: 1, 14: 12})) == [10, 11, 12, 14]


def test_resident_memory_is_that_of_the_process() -> None:
    assert resident_bytes(os.getpid()) > 10_000_000
    assert resident_bytes(2**22 + 1) == 0  # above the highest that Linux gives


def test_open_files_below_a_folder_count_though_they_have_no_name(tmp_path: Path) -> None:
    with tempfile.TemporaryFile(dir=tmp_path) as file:
        file.write(bytes(1_000_000))
        file.flush()
        assert 1_000_000 <= sum(open_files(os.getpid(), tmp_path)) < 1_100_000
    assert sum(open_files(os.getpid(), tmp_path)) == 0


async def test_health_is_asked_steadily_though_answers_are_late(tmp_path: Path) -> None:
    async def late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(0.3)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    async with listening(late) as address, watched(address, os.getpid(), tmp_path) as vitals:
        await asyncio.sleep(0.6)
    assert len(vitals.checks) >= 10
    assert all(check.good and 0.3 <= check.took_s < GIVE_UP_S for check in vitals.checks)
    assert vitals.memory_mb > 10


async def test_health_that_gets_no_answer_counts_as_the_longest_wait(tmp_path: Path) -> None:
    async def close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with listening(close) as address, watched(address, os.getpid(), tmp_path) as vitals:
        await asyncio.sleep(0.1)
    assert vitals.checks
    assert {(check.good, check.took_s) for check in vitals.checks} == {(False, GIVE_UP_S)}


async def test_listener_in_real_time_takes_no_more_than_it_plays() -> None:
    async def at_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = b"HTTP/1.1 200 OK\r\nX-Sample-Rate: 8000\r\nTransfer-Encoding: chunked\r\n\r\n"
        writer.write(head + (b"640\r\n" + bytes(1600) + b"\r\n") * 8 + b"0\r\n\r\n")
        writer.close()

    async with listening(at_once) as address:
        paced = await ask(address, Question("Hello.", "tone"), ahead_s=0.2)
        hasty = await ask(address, Question("Hello.", "tone"))
    assert paced.audio_s == hasty.audio_s == pytest.approx(0.8)
    assert paced.ended_s - paced.first_byte_s >= 0.5
    assert hasty.ended_s - hasty.first_byte_s < 0.5


def test_listeners_who_are_cut_and_refused_are_told_apart() -> None:
    heard = Answer("200", 0.0, 0.0, 0.0, 3.0, (Arrival(0.0, 1.0), Arrival(1.5, 1.0)))
    answers = [heard, Answer("broken", 0.0), Answer("none", 0.0), Answer("503", 0.0)]
    found = measured("texts", siege({}, answers, Vitals(), Vitals()))
    assert found["listeners: cut, or not answered"] == 2
    assert found["listeners: refused"] == 1
    assert found["underruns"] == 1
    assert found["silence by underruns"] == pytest.approx(500)


def test_what_an_attack_may_not_end_in_is_counted() -> None:
    outcomes = {"200": 3, "503": 2, "500": 4, "503 without Retry-After": 1}
    found = measured("disk", siege(outcomes, [], Vitals(), Vitals()))
    assert found["outcomes that must not be"] == 5
    found = measured("numbers", siege(outcomes, [], Vitals(), Vitals()))
    assert found["outcomes that must not be"] == 7


def test_growth_is_beyond_the_most_before_the_attack() -> None:
    before = Vitals([], [Held(0.0, 300.0, 0.0), Held(1.0, 320.0, 0.0)])
    checks = [Check(2.0, 0.05, True)] * 99 + [Check(3.0, 1.0, True)]
    during = Vitals(checks, [Held(2.0, 500.0, 7.0)])
    found = measured("bodies", siege({}, [], before, during))
    assert found["memory grew by"] == pytest.approx(180.0)
    assert found["temporary files, at most"] == pytest.approx(7.0)
    assert found["`/health/live`: p50"] == pytest.approx(50.0)


def test_only_what_was_due_in_a_span_is_within_it() -> None:
    vitals = Vitals([Check(float(at), 0.1, True) for at in range(5)], [Held(2.5, 1.0, 0.0)])
    assert [check.due_s for check in vitals.within(1.0, 3.0).checks] == [1.0, 2.0]
    assert vitals.within(3.0, 9.0).memory_mb == 0.0


def test_trial_is_chosen_by_its_name_or_the_beginning_of_several() -> None:
    assert chosen("abuse-silence") == ["abuse-silence"]
    assert chosen("abuse") == [name for name in TRIALS if name.startswith("abuse-")]
    assert len(chosen("abuse")) == len(ATTACKS)
    with pytest.raises(typer.BadParameter, match="'abus'"):
        chosen("abus")
