"""Several checkpoints on one port, chosen by name or task, loaded and unloaded on demand."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import numpy as np
import pytest

for package in ("torch", "safetensors", "tokenizers"):
    pytest.importorskip(
        package,
        reason=f"Qwen3-TTS needs {package}: make test-qwen, or pip install 'vivavoce[qwen]'",
    )

from tests.conftest import app_client  # noqa: E402 - after the check for it
from tests.models.qwen3_tts.whole import whole_checkpoint  # noqa: E402
from vivavoce.api.app import create_app  # noqa: E402
from vivavoce.registry import build_pool  # noqa: E402
from vivavoce.settings import Settings  # noqa: E402

NAMES = {"Small": "custom_voice", "Large": "custom_voice", "Design": "voice_design"}
REQUESTS = [
    {
        "text": f"Number {n} of many.",
        "seed": n,
        "format": "pcm",
        "instruct": "Calm.",
        "model": ("small", "large", "design")[n % 3],
    }
    for n in range(24)
]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    root = tmp_path_factory.mktemp("checkpoints")
    size = {"Small": "0b6"}
    return tuple(
        whole_checkpoint(root / name, task, size=size.get(name, "1b7"), frames=8)
        for name, task in NAMES.items()
    )


def settings(
    folders: tuple[Path, ...], memory_gb: float | None = None, **others: object
) -> Settings:
    values: dict[str, object] = {"qwen_max_batch": 4, "max_model_memory_gb": memory_gb, **others}
    return Settings(
        qwen=folders, models=("tone",), isolate_models=False, load_models="lazy", **values
    )  # type: ignore[arg-type]  # settings of several types


@pytest.fixture
async def client(folders: tuple[Path, ...]) -> AsyncIterator[httpx.AsyncClient]:
    async with app_client(create_app(settings(folders))) as client:
        yield client


async def answers(client: httpx.AsyncClient) -> list[httpx.Response]:
    posts = (client.post("/v1/tts/synthesize", json=request) for request in REQUESTS)
    return list(await asyncio.gather(*posts))


async def size_of_the_largest(folders: tuple[Path, ...]) -> int:
    pool = build_pool(settings(folders))
    await pool.preview_all()
    await pool.aclose()
    return max(state.memory_bytes or 0 for state in pool.states().values())


async def test_three_models_in_the_memory_of_two_answer_as_if_there_were_no_limit(
    folders: tuple[Path, ...], client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    limited = settings(folders, 2.1 * await size_of_the_largest(folders) / 1e9)
    pool = build_pool(limited)
    assert pool.max_memory_bytes is not None
    resident: list[int] = []
    for (
        model
    ) in pool._models.values():  # the pool's own account as each load begins, in the loading thread

        def make(make=model.source.make):  # type: ignore[no-untyped-def]  # an EngineFactory
            resident.append(pool.memory_bytes)
            return make()

        object.__setattr__(model.source, "make", make)
    unlimited = await answers(client)
    with caplog.at_level("INFO"):
        async with app_client(create_app(limited, pool)) as squeezed:
            heard = await answers(squeezed)
            health = (await squeezed.get("/health")).json()
    assert [answer.status_code for answer in (*unlimited, *heard)] == [200] * 48
    assert [answer.headers["x-model"] for answer in heard] == [
        request["model"] for request in REQUESTS
    ]
    for one, other in zip(unlimited, heard, strict=True):
        samples = [np.frombuffer(answer.content, "<i2").astype(int) for answer in (one, other)]
        assert samples[0].shape == samples[1].shape
        assert (
            np.abs(samples[0] - samples[1]).max() <= 4
        )  # 1e-4 of full scale: who speaks beside differs
    assert len(resident) >= 3
    assert max(resident) <= pool.max_memory_bytes
    assert health["memory_bytes"] <= health["max_memory_bytes"] == pool.max_memory_bytes
    assert "is unloaded" in caplog.text
    assert pool.leases == 0


@pytest.mark.parametrize(
    ("path", "fields", "model"),
    [
        ("/v1/tts/synthesize", {"text": "Hi.", "task": "custom_voice"}, "small"),
        (
            "/v1/tts/synthesize",
            {"text": "Hi.", "task": "voice_design", "instruct": "Calm."},
            "design",
        ),
        (
            "/v1/tts/synthesize",
            {"text": "Hi.", "model": "voice_design", "instruct": "Calm."},
            "design",
        ),
        ("/v1/tts/synthesize", {"text": "Hi.", "model": "large", "task": "custom_voice"}, "large"),
        ("/v1/audio/speech", {"input": "Hi.", "task_type": "CustomVoice"}, "small"),
        (
            "/v1/audio/speech",
            {"input": "Hi.", "task_type": "VoiceDesign", "instructions": "Calm."},
            "design",
        ),
        (
            "/v1/audio/speech",
            {"input": "Hi.", "task_type": "voice_design", "instructions": "Calm."},
            "design",
        ),
        (
            "/v1/audio/speech",
            {"input": "Hi.", "model": "voice_design", "instructions": "Calm."},
            "design",
        ),
    ],
)
async def test_task_chooses_the_model(
    client: httpx.AsyncClient, path: str, fields: dict[str, str], model: str
) -> None:
    answer = await client.post(path, json=fields)
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-model"] == model
    states = (await client.get("/health")).json()["models"]
    assert [name for name, state in states.items() if state == "ready"] == [model]


async def test_task_goes_before_the_default_model(folders: tuple[Path, ...]) -> None:
    async with app_client(create_app(settings(folders, default_model="large"))) as client:
        bodies = ({}, {"task": "custom_voice"}, {"task": "voice_design", "instruct": "Calm."})
        heard = [
            await client.post("/v1/tts/synthesize", json={"text": "Hi.", **body}) for body in bodies
        ]
        assert [answer.headers["x-model"] for answer in heard] == ["large", "large", "design"]


@pytest.mark.parametrize(
    ("path", "fields", "status", "field", "says"),
    [
        (
            "/v1/tts/synthesize",
            {"text": "Hi.", "task": "base"},
            422,
            "task",
            "'voice_design' by 'design'",
        ),
        (
            "/v1/tts/synthesize",
            {"text": "Hi.", "model": "base"},
            404,
            "model",
            "'custom_voice' by 'small'",
        ),
        (
            "/v1/tts/synthesize",
            {"text": "Hi.", "model": "small", "task": "base"},
            422,
            "task",
            "does 'custom_voice'",
        ),
        (
            "/v1/tts/synthesize",
            {"text": "Hi.", "model": "tone", "task": "base"},
            422,
            "task",
            "knows no tasks",
        ),
        (
            "/v1/tts/synthesize",
            {"text": "Hi.", "model": "voice_design", "task": "base"},
            422,
            "task",
            "'base'",
        ),
        ("/v1/tts/synthesize", {"text": "Hi.", "task": "VoiceDesign"}, 422, "task", "voice_design"),
        (
            "/v1/audio/speech",
            {"input": "Hi.", "task_type": "Base"},
            400,
            "task_type",
            "'custom_voice' by 'small'",
        ),
        (
            "/v1/audio/speech",
            {"input": "Hi.", "task_type": "Song"},
            400,
            "task_type",
            "voice_design",
        ),
    ],
)
async def test_task_that_is_not_offered_is_refused_with_those_that_are(
    client: httpx.AsyncClient, path: str, fields: dict[str, str], status: int, field: str, says: str
) -> None:
    answer = await client.post(path, json=fields)
    error = answer.json()["error"]
    assert (answer.status_code, error.get("field", error.get("param"))) == (status, field), error
    assert says in error["message"]


async def test_lists_and_cards_load_nothing(client: httpx.AsyncClient) -> None:
    cards = {card["id"]: card for card in (await client.get("/v1/models")).json()["data"]}
    assert {name: cards[name]["task"] for name in ("small", "large", "design", "tone")} == {
        "small": "custom_voice", "large": "custom_voice", "design": "voice_design", "tone": None,
    }  # fmt: skip
    assert all(cards[name]["memory_bytes"] > 100_000 for name in ("small", "large", "design"))
    assert cards["tone"]["memory_bytes"] is None
    assert (cards["voice_design"]["state"], "base" in cards) == ("alias", False)
    speakers = (await client.get("/v1/tts/speakers", params={"model": "voice_design"})).json()[
        "speakers"
    ]
    assert speakers == ["design"]
    states = (await client.get("/health")).json()
    assert {states["models"][name] for name in ("small", "large", "design")} == {"unloaded"}
    assert (states["memory_bytes"], states["max_memory_bytes"]) == (0, None)
    await client.post("/v1/tts/synthesize", json={"text": "Hi.", "model": "small"})
    assert (await client.get("/health")).json()["memory_bytes"] == cards["small"]["memory_bytes"]


async def test_card_of_a_loaded_model_has_its_slots_and_so_does_the_log(
    folders: tuple[Path, ...], caplog: pytest.LogCaptureFixture
) -> None:
    automatic = settings(folders, qwen_max_batch="auto", qwen_device="cpu")
    with caplog.at_level("INFO"):
        async with app_client(create_app(automatic)) as client:
            await client.post("/v1/tts/synthesize", json={"text": "Hi.", "model": "small"})
            cards = {card["id"]: card for card in (await client.get("/v1/models")).json()["data"]}
    assert (cards["small"]["max_batch"], cards["large"]["max_batch"]) == (8, None)
    assert "'small' speaks 8 segments at once on cpu" in caplog.text


async def test_model_that_can_never_fit_is_503_and_auto_goes_on(folders: tuple[Path, ...]) -> None:
    async with app_client(create_app(settings(folders, 1e-6))) as client:
        answer = await client.post("/v1/tts/synthesize", json={"text": "Hi.", "model": "small"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "out_of_memory")
        assert "max_model_memory_gb" in answer.json()["error"]["message"]
        assert (await client.post("/v1/tts/synthesize", json={"text": "Hi."})).headers[
            "x-model"
        ] == "tone"
        assert (await client.get("/health")).json()["models"]["small"] == "failed"
