"""Test a model with two replicas in a real Ray cluster on this machine.

The tests need the extra `ray`. Ray takes some seconds to start: one cluster serves all tests.
"""

import asyncio
import os
import secrets
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import FAULTS, app_client
from vivavoce.api.app import create_app
from vivavoce.api.ray_app import application
from vivavoce.errors import EngineFault, Overloaded, SettingsError, UnknownVoice
from vivavoce.models.tone import ToneModel
from vivavoce.remote.ray import RayEngine, Speaker
from vivavoce.serving.base import ChunkStream
from vivavoce.serving.local import LocalEngine
from vivavoce.serving.pool import Pool
from vivavoce.serving.queue import Limits
from vivavoce.settings import Settings
from vivavoce.types import Samples, Segment, StopReason

pytestmark = [
    # Looked for and not imported: Ray reads its token from the environment as it is imported.
    pytest.mark.skipif(
        find_spec("ray") is None, reason="Ray is not installed (pip install 'vivavoce[ray]')"
    ),
    # It leaves sockets and processes to the interpreter's end, which is its own business.
    pytest.mark.filterwarnings("ignore"),
]

yaml = pytest.importorskip("yaml", reason="PyYAML is not installed (extra `dev`)")
FILES = sorted((Path(__file__).parent.parent.parent.parent / "deploy" / "ray").glob("*.yaml"))
SEGMENT = Segment("Hello there, how are you?", "sine", "en")
ENDLESS = Segment("Hello.", "endless", "en")
SLOTS = 2  # of each of the two replicas


class Replica(Speaker):
    """A speaker that the tests can inspect and kill."""

    async def busy(self) -> tuple[int, int]:
        """Return the id of this process and its number of segments."""
        engine = self._pool.ready["tone"]
        assert isinstance(engine, LocalEngine)
        return os.getpid(), engine.load.running + engine.load.waiting


def beeps(real_time_factor: float) -> Pool:
    model = ToneModel(real_time_factor=real_time_factor, faults=FAULTS)
    return Pool({"tone": lambda: LocalEngine(model, Limits(max_ahead_s=2.0))})


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Run Ray Serve with two replicas of `tone`, and token authentication, as is Ray's default."""
    os.environ |= {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    import ray
    from ray import serve

    ray.init(
        num_cpus=2, object_store_memory=150_000_000, include_dashboard=False, log_to_driver=False
    )
    serve.start(http_options={"location": "NoServer"})
    deployment = serve.deployment(Replica).options(
        num_replicas=2,
        max_ongoing_requests=SLOTS
        + 1,  # one more than the tests keep speaking: for what they ask besides
        max_queued_requests=1,
        health_check_period_s=1,
        ray_actor_options={"num_cpus": 0.5},
    )
    serve.run(deployment.bind(partial(beeps, 1.0), "tone"), name="tone", route_prefix=None)
    yield serve.get_app_handle("tone")
    serve.shutdown()
    ray.shutdown()


@pytest.fixture
async def engine(cluster: Any) -> AsyncIterator[RayEngine]:
    engine = RayEngine("tone")
    await engine.start()
    yield engine
    await engine.aclose()
    await until_idle(cluster)


async def collected(speech: ChunkStream) -> Samples:
    async with aclosing(speech):
        return np.concatenate([chunk.samples async for chunk in speech])


async def begun(engine: RayEngine) -> ChunkStream:
    """Start endless speech, one after another, as only one may wait."""
    speech = engine.speak(ENDLESS)
    await anext(speech)
    return speech


async def replicas(cluster: Any) -> dict[int, int]:
    """Return the segments of each replica by process. Ask until both have answered."""
    found: dict[int, int] = {}
    for _ in range(200):
        pid, busy = await cluster.busy.remote()
        found[pid] = busy
        if len(found) == 2:
            break
    return found


async def until_idle(cluster: Any) -> None:
    for _ in range(400):
        if [(await cluster.busy.remote())[1] for _ in range(6)] == [0] * 6:
            return
    raise AssertionError("a replica stays busy")


async def test_a_server_speaks_through_the_cluster(cluster: Any) -> None:
    async with app_client(
        create_app(Settings(ray=("tone",), models=("hibari",), load_models="lazy"))
    ) as client:
        body = {
            "text": "Hello there. How are you?", "model": "tone", "speaker": "hum", "seed": 3,
            "format": "pcm",
        }  # fmt: skip
        answer = await client.post("/v1/tts/synthesize", json=body)
        unknown = await client.post("/v1/tts/synthesize", json={**body, "speaker": "nobody"})
        crashed = await client.post("/v1/tts/synthesize", json={**body, "speaker": "crash-at-once"})
    assert (answer.status_code, answer.headers["x-voice"]) == (200, "hum")
    assert len(answer.content) > 48_000
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "voice_not_found")
    assert (crashed.status_code, crashed.json()["error"]["code"]) == (500, "engine_fault")


async def test_samples_are_those_of_the_model(engine: RayEngine) -> None:
    local = LocalEngine(ToneModel())
    await local.start()
    speech = engine.speak(SEGMENT)
    np.testing.assert_array_equal(await collected(speech), await collected(local.speak(SEGMENT)))
    assert speech.ending is StopReason.COMPLETE
    await local.aclose()


async def test_closing_a_segment_frees_its_slot(engine: RayEngine, cluster: Any) -> None:
    async with aclosing(engine.speak(ENDLESS)) as speech:
        await anext(speech)
        assert sum((await replicas(cluster)).values()) == 1
    await until_idle(cluster)


async def test_full_replicas_are_overloaded_and_later_speech_waits(
    engine: RayEngine, cluster: Any
) -> None:
    speeches = [await begun(engine) for _ in range(2 * (SLOTS + 1))]
    waiting = engine.speak(SEGMENT)  # has the one place in the queue
    later = engine.speak(SEGMENT, follows=speeches[0])
    with pytest.raises(Overloaded, match="all replicas of 'tone' are busy"):
        await asyncio.wait_for(collected(engine.speak(SEGMENT)), 20)
    for speech in speeches:
        await speech.aclose()
    assert len(await collected(waiting))
    assert len(await collected(later))


async def test_overload_is_429(engine: RayEngine) -> None:
    body = {"text": "Hello.", "model": "tone"}
    async with app_client(
        create_app(Settings(ray=("tone",), models=("hibari",), load_models="lazy"))
    ) as client:
        assert (await client.post("/v1/tts/synthesize", json=body)).status_code == 200
        speeches = [await begun(engine) for _ in range(2 * (SLOTS + 1))]
        asked = {
            asyncio.create_task(client.post("/v1/tts/synthesize", json=body)) for _ in range(3)
        }
        done, waiting = await asyncio.wait(asked, timeout=30, return_when=asyncio.FIRST_COMPLETED)
        for speech in speeches:
            await speech.aclose()
        await asyncio.gather(*waiting)  # they had to wait, and are spoken now
    assert {task.result().status_code for task in done} == {429}


async def test_a_replica_that_dies_breaks_its_own_speech_alone(
    engine: RayEngine, cluster: Any
) -> None:
    speeches = [await begun(engine) for _ in range(4)]
    before = await replicas(cluster)
    assert (len(before), sum(before.values())) == (2, 4)
    victim = max(before, key=lambda pid: before[pid])
    os.kill(victim, signal.SIGKILL)
    ended = await asyncio.gather(*(broken(speech, 20) for speech in speeches))
    assert sum(ended) == before[victim]
    assert len(await collected(engine.speak(SEGMENT)))  # the other one speaks, and a new one will
    for speech in speeches:
        await speech.aclose()


async def broken(speech: ChunkStream, chunks: int) -> bool:
    """True if `speech` fails within that many chunks, detectably."""
    try:
        for _ in range(chunks):
            await anext(speech)
    except EngineFault:
        return True
    return False


async def test_an_application_that_is_not_there_is_told(cluster: Any) -> None:
    with pytest.raises(EngineFault, match="no Serve application 'nobody'"):
        await RayEngine("nobody").start()


def deployed_by(file: Path) -> Any:
    """Return the one application of `file`, as Ray reads it.

    Any: Ray is optional for the type checker.
    """
    from ray.serve.schema import ServeDeploySchema

    (application,) = ServeDeploySchema.model_validate(
        yaml.safe_load(file.read_text("utf-8"))
    ).applications
    return application


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
async def test_a_file_of_deploy_is_what_serve_deploy_takes_and_its_application_speaks(
    cluster: Any, file: Path
) -> None:
    """Deploy a model of this machine, without the resources set aside for its own."""
    from ray import serve

    deployed = deployed_by(file)
    module, _, builder = deployed.import_path.partition(":")
    build = getattr(import_module(module), builder)
    here = {"default_model": "tone", "models": "tone", "ray_num_cpus": 0, "ray_num_gpus": 0}
    await asyncio.to_thread(
        serve.run, build({**deployed.args, **here}), name=deployed.name, route_prefix=None
    )
    async with aclosing(RayEngine(deployed.name)) as engine:
        await engine.start()
        assert len(await collected(engine.speak(SEGMENT)))
    await asyncio.to_thread(serve.delete, deployed.name)


def test_an_application_needs_one_model() -> None:
    with pytest.raises(SettingsError, match="name it in 'default_model'"):
        application({"models": "tone"})


def test_errors_keep_what_they_say_between_processes() -> None:
    import pickle

    from vivavoce.serving.model_errors import SerializedError

    error = UnknownVoice("no such voice", field="speaker")
    copy = pickle.loads(pickle.dumps(SerializedError.of(error))).error()
    assert (type(copy), copy.message, copy.field) == (UnknownVoice, "no such voice", "speaker")
