"""Test models in processes of their own: same audio, and crashes that stay there."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path

import httpx
import numpy as np
import pytest

from tests.api.test_lifecycle import PCM, server
from tests.serving.models import HANGS, Cloning, Hungry, Meeting
from vivavoce.errors import (
    BadRequest,
    EngineFault,
    MissingDependency,
    NotReady,
    OutOfMemory,
    Unsupported,
)
from vivavoce.models.hibari import HibariModel
from vivavoce.models.kokoro import KokoroOptions, make_kokoro
from vivavoce.models.tone import CHAR_S, RATE_HZ, Fault, ToneModel, tones
from vivavoce.serving.base import AnyModel
from vivavoce.serving.local import LocalEngine
from vivavoce.serving.subprocess.client import ProcessModel, in_process
from vivavoce.serving.subprocess.server import ProcessConfig
from vivavoce.serving.supervisor import SupervisedEngine
from vivavoce.types import AudioChunk, Reference, Samples, Segment, StopReason

pytestmark = pytest.mark.skipif(
    os.name != "posix", reason="models have processes of their own on POSIX systems"
)

MAX_STEP_S = 0.5


@contextmanager
def model_in_process(
    make: Callable[[], AnyModel], config: ProcessConfig | None = None
) -> Iterator[ProcessModel]:
    model = in_process(make, "model", config or ProcessConfig())
    try:
        yield model
    finally:
        model.unload()


def said(voice: str = "sine", text: str = "hello") -> Segment:
    return Segment(text, voice, "en", seed=3)


def samples_of(result: Samples | AudioChunk | StopReason) -> Samples:
    """Return the samples of what a model's step gave, none if it ended."""
    if isinstance(result, AudioChunk):
        return result.samples
    return np.zeros(0, np.float32) if isinstance(result, StopReason) else result


def spoken(model: AnyModel, segments: Sequence[Segment]) -> list[Samples]:
    """Return the audio of `segments`, stepped together as far as `model` allows."""
    streams: list[object] = [model.open(segment) for segment in segments]
    heard: dict[object, list[Samples]] = {stream: [] for stream in streams}
    while streams:
        batch = streams[: model.max_batch]
        for stream, result in zip(batch, model.step(batch, [0.0] * len(batch)), strict=True):
            if isinstance(result, StopReason):
                model.close(stream)
                streams.remove(stream)
            else:
                heard[stream].append(samples_of(result))
    return [np.concatenate(parts) for parts in heard.values()]


@pytest.mark.parametrize("make", [ToneModel, HibariModel])
def test_model_speaks_in_a_process_as_it_does_here(make: Callable[[], AnyModel]) -> None:
    here = make()
    segments = [said(here.info.voices[0].id, text) for text in ("Hello there.", "And to you, too.")]
    with model_in_process(make) as model:
        assert (model.info, model.max_batch, model.lanes) == (here.info, here.max_batch, here.lanes)
        for ours, theirs in zip(spoken(model, segments), spoken(here, segments), strict=True):
            assert ours.dtype == np.float32
            assert np.array_equal(ours, theirs)


def test_live_text_is_fed_and_starved_for_in_a_process() -> None:
    with model_in_process(ToneModel) as model:
        stream = model.open(Segment("", "sine", "en", live=True))
        model.feed(stream, "he", last=False)
        parts: list[Samples] = []
        for text, last in (("l", False), ("lo", True)):
            while not model.starving(stream):
                parts.append(samples_of(model.step([stream], [0.0])[0]))
            model.feed(stream, text, last=last)
        while (part := samples_of(model.step([stream], [0.0])[0])).size:
            parts.append(part)
        whole = tones(Segment("hello", "sine", "en"), 0, int(5 * CHAR_S * RATE_HZ))
        assert np.array_equal(np.concatenate(parts), whole)


async def test_lanes_step_at_the_same_time_in_a_process() -> None:
    with model_in_process(Meeting) as model:
        first, second = model.open(said()), model.open(said("hum"))
        steps = (asyncio.to_thread(model.step, [stream], [0.0]) for stream in (first, second))
        for (part,) in await asyncio.gather(*steps):
            assert samples_of(part).size


def test_errors_come_back_from_a_process_as_they_are(tmp_path: Path) -> None:
    with model_in_process(Cloning) as model:
        with pytest.raises(Unsupported, match="nothing to say in ''") as refused:
            model.open(said(text=""))
        assert refused.value.field == "text"
        with pytest.raises(BadRequest, match="too short") as short:
            model.prepare(Reference(np.zeros(0, np.float32), RATE_HZ))
        assert short.value.field == "ref_audio"
    with pytest.raises(MissingDependency, match="vivavoce models pull kokoro"):
        in_process(partial(make_kokoro, KokoroOptions(tmp_path)), "kokoro", ProcessConfig())


def test_process_logs_as_it_is_told_to(capfd: pytest.CaptureFixture[str]) -> None:
    make = partial(ToneModel, faults={"crash": Fault("raise")})
    with model_in_process(make, ProcessConfig("warning", "json")) as model:
        with pytest.raises(EngineFault, match="told to fail at step 0"):
            model.step([model.open(said("crash"))], [0.0])
        (line,) = capfd.readouterr().err.splitlines()
    logged = json.loads(line)
    assert (logged["level"], logged["message"]) == ("error", "the model failed while speaking")
    assert "RuntimeError" in logged["exception"]


@pytest.mark.skipif(sys.platform != "linux", reason="Linux counts a process's own memory")
def test_process_finds_no_more_memory_than_it_may_take() -> None:
    with model_in_process(Hungry, ProcessConfig("critical", max_memory_bytes=500_000_000)) as model:
        with pytest.raises(OutOfMemory):
            model.step([model.open(said("hum"))], [0.0])
        assert spoken(model, [said()])[0].size


def test_voices_stay_in_the_process_until_they_are_dropped() -> None:
    with model_in_process(Cloning) as model, model_in_process(Cloning) as other:
        voice = model.prepare(Reference(np.zeros(7, np.float32), RATE_HZ))
        segment = Segment("hello", "sine", "en", prepared=voice)
        with pytest.raises(BadRequest, match="prepare it again"):
            other.open(segment)
        (heard,) = spoken(model, [segment])
        assert np.array_equal(heard, tones(Segment("hello", "sine", "en", seed=7), 0, heard.size))
        del voice, segment
        kept = model.prepare(Reference(np.zeros(8, np.float32), RATE_HZ))
        with pytest.raises(
            EngineFault, match="could not start"
        ):  # the first voice is not there any more
            model._client.call("open", 99, said(), 0)
        assert spoken(model, [Segment("hello", "sine", "en", prepared=kept)])[0].size
        del kept
        model.drop_voices()
        with pytest.raises(EngineFault, match="could not start"):
            model._client.call("open", 98, said(), 1)


@asynccontextmanager
async def supervised(
    make: Callable[[], AnyModel], made: list[ProcessModel]
) -> AsyncIterator[SupervisedEngine]:
    """Return an engine whose models run in processes, and are added to `made`."""

    def engine() -> LocalEngine:
        made.append(in_process(make, "tone", ProcessConfig("critical")))
        return LocalEngine(made[-1])

    watching = SupervisedEngine(engine, max_step_s=MAX_STEP_S)
    await watching.start()
    try:
        yield watching
    finally:
        await watching.aclose()


async def heard(engine: SupervisedEngine, segment: Segment) -> Samples:
    async with aclosing(engine.speak(segment)) as stream:
        return np.concatenate([chunk.samples async for chunk in stream])


async def speaks_again(engine: SupervisedEngine) -> Samples:
    async with asyncio.timeout(30):
        while True:
            try:
                return await heard(engine, said())
            except NotReady:
                await asyncio.sleep(0.01)


async def test_process_that_is_killed_fails_its_streams_and_is_made_anew() -> None:
    made: list[ProcessModel] = []
    async with supervised(partial(ToneModel, real_time_factor=1.0, max_batch=1), made) as engine:
        before = await heard(engine, said())
        speaks, waits = engine.speak(said(text="hello" * 10)), engine.speak(said())
        await anext(speaks)
        os.kill(made[0]._client._process.pid, signal.SIGKILL)
        with pytest.raises(
            EngineFault, match=r"process of model 'tone' ended with signal 9 \(Killed\)"
        ):
            async for _ in speaks:
                pass
        with pytest.raises(NotReady, match="ended with signal 9"):
            await anext(waits)
        with pytest.raises(NotReady, match="restarting"):
            engine.speak(said())
        assert np.array_equal(await speaks_again(engine), before)
        assert len(made) == 2


async def test_process_that_dies_while_idle_is_made_anew_before_anybody_asks() -> None:
    made: list[ProcessModel] = []
    async with supervised(ToneModel, made) as engine, asyncio.timeout(30):
        made[0].kill()
        while len(made) < 2:  # noqa: ASYNC110 - the watch tells nobody
            await asyncio.sleep(0.01)
        assert (await speaks_again(engine)).size


async def test_process_whose_step_hangs_is_killed_however_often() -> None:
    made: list[ProcessModel] = []
    async with supervised(partial(ToneModel, faults=HANGS), made) as engine:
        for times in range(1, 4):
            start_s = time.monotonic()
            with pytest.raises(EngineFault, match="hung"):
                await heard(engine, said("hang"))
            assert time.monotonic() - start_s < 10 * MAX_STEP_S
            await speaks_again(engine)
            assert len(made) == times + 1
            assert made[-2].lost is not None


async def test_engine_over_a_process_closes_though_a_step_hangs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("vivavoce.serving.scheduler._JOIN_TIMEOUT_S", 0.2)
    model = in_process(partial(ToneModel, faults=HANGS), "tone", ProcessConfig("critical"))
    engine = LocalEngine(model)
    await engine.start()
    hangs = engine.speak(said("hang"))
    async with asyncio.timeout(30):
        while engine.load.running == 0:  # noqa: ASYNC110 - a lane's thread tells nobody
            await asyncio.sleep(0.01)
        await engine.aclose()
    assert model.lost is not None
    with pytest.raises((EngineFault, NotReady)):
        await anext(hangs)


async def test_model_that_cannot_be_made_anew_at_once_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("vivavoce.serving.supervisor.PAUSES_S", (0.0, 0.0))
    models: list[ProcessModel] = []
    tries = 0

    def make() -> LocalEngine:
        nonlocal tries
        tries += 1
        if tries == 2:
            raise OutOfMemory("not now")
        models.append(in_process(ToneModel, "tone", ProcessConfig("critical")))
        return LocalEngine(models[-1])

    engine = SupervisedEngine(make, max_step_s=MAX_STEP_S)
    await engine.start()
    models[0].kill()
    while tries < 3:  # noqa: ASYNC110 - the watch tells nobody
        await asyncio.sleep(0.01)
    assert (await speaks_again(engine)).size
    await engine.aclose()


async def test_engine_that_is_closed_while_its_model_is_restarted_leaves_no_process_behind() -> (
    None
):
    made: list[ProcessModel] = []
    begun = threading.Event()

    def engine() -> LocalEngine:
        begun.set()
        made.append(in_process(ToneModel, "tone", ProcessConfig("critical")))
        return LocalEngine(made[-1])

    supervising = SupervisedEngine(engine, max_step_s=MAX_STEP_S)
    await supervising.start()
    begun.clear()
    made[0].kill()
    assert await asyncio.to_thread(begun.wait, 30)
    await supervising.aclose()
    assert len(made) == 2
    assert all(model.lost is not None for model in made)


def is_there(pid: int) -> bool:
    """True if that process runs. A zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def ends(pid: int) -> bool:
    deadline_s = time.monotonic() + 10
    while is_there(pid) and time.monotonic() < deadline_s:
        pass
    return not is_there(pid)


needs_proc = pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="finds processes in /proc"
)


@needs_proc
def test_process_ends_with_its_parent_in_the_middle_of_a_step_that_keeps_the_interpreter() -> None:
    code = """
from tests.serving.models import Stuck
from vivavoce.serving.subprocess.client import in_process
from vivavoce.serving.subprocess.server import ProcessConfig
from vivavoce.types import Segment
model = in_process(Stuck, "stuck", ProcessConfig())
stream = model.open(Segment("hello", "sine", "en"))
print(model._client._process.pid, flush=True)
model.step([stream], [0.0])
"""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        used_s = cpu_s(pid)
        while cpu_s(pid) < used_s + 0.2:  # it searches
            pass
        parent.kill()
    assert ends(pid)


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def child_of(pid: int) -> int:
    (child,) = (
        int(one)
        for task in Path(f"/proc/{pid}/task").iterdir()
        for one in (task / "children").read_text().split()
    )
    return child


@needs_proc
def test_server_outlives_its_model_and_ends_streams_whole_though_the_signal_went_to_both(
    tmp_path: Path,
) -> None:
    with (
        server(tmp_path, tone_real_time_factor=0.5) as (process, url),
        httpx.Client(base_url=url, timeout=60) as client,
    ):

        def speech() -> httpx.Response:
            return client.post("/v1/tts/synthesize", json=PCM)

        whole = speech().content
        with client.stream("POST", "/v1/tts/synthesize", json=PCM) as running:
            chunks = running.iter_raw()
            next(chunks)
            os.kill(child_of(process.pid), signal.SIGKILL)
            with pytest.raises(httpx.RemoteProtocolError):  # never a short answer that looks whole
                b"".join(chunks)
        start_s = time.monotonic()
        while (answer := speech()).status_code == 503:
            assert answer.headers["retry-after"] == "5"
            assert time.monotonic() - start_s < 10
        assert answer.content == whole
        assert 'vivavoce_lost_processes_total{model="tone"} 1.0' in client.get("/metrics").text
        with client.stream("POST", "/v1/tts/synthesize", json=PCM) as running:
            chunks = running.iter_raw()
            received = next(chunks)
            model = child_of(process.pid)
            for number, pid in (
                (signal.SIGINT, model),
                (signal.SIGTERM, model),
                (signal.SIGTERM, process.pid),
            ):
                os.kill(pid, number)  # as a terminal or systemd sends it to all
            received += b"".join(chunks)
        assert received == whole
        assert process.wait(20) == 0
        assert not is_there(model)


@needs_proc
def test_server_that_is_killed_leaves_no_process_behind(tmp_path: Path) -> None:
    with server(tmp_path, tone_real_time_factor=20) as (process, url):
        with httpx.stream("POST", f"{url}/v1/tts/synthesize", json=PCM, timeout=60) as running:
            chunks = running.iter_raw()
            next(chunks)
            model = child_of(process.pid)
            process.kill()
            with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
                b"".join(chunks)
        assert ends(model)
