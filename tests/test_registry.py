"""Test that settings reach the options of each kind of model."""

from pathlib import Path

from vivavoce.models.kokoro import KokoroOptions
from vivavoce.models.qwen3_tts import QwenOptions
from vivavoce.models.tone import ToneOptions
from vivavoce.registry import SPECS, build_pool, options
from vivavoce.remote.engine import RemoteOptions
from vivavoce.remote.ray import RayOptions
from vivavoce.settings import Settings


def test_options_are_the_settings_of_their_names_with_and_without_the_prefix(
    tmp_path: Path,
) -> None:
    settings = Settings(
        qwen_device="cpu", qwen_weights="int8", qwen_max_batch=3, qwen_graphs="off", threads=2,
            qwen_codec_precision="tf32",
        max_queued_requests=5, remote_api_key="k", remote_timeout_s=4.0, remote_voices=("a",),
        remote_languages=("de",), ray_address="ray://x", cache_dir=tmp_path,
        kokoro_dir=tmp_path / "kokoro", tone_real_time_factor=0.5, tone_faults=("nan",),
    )  # fmt: skip
    assert options(QwenOptions, settings, "qwen_") == QwenOptions(
        "cpu", "auto", "int8", 3, 2, "off", "tf32", tmp_path
    )
    assert options(RemoteOptions, settings, "remote_") == RemoteOptions(
        "k", 4.0, ("a",), ("de",), 5
    )
    assert options(RayOptions, settings, "ray_") == RayOptions("ray://x", 5)
    assert options(KokoroOptions, settings) == KokoroOptions(tmp_path, tmp_path / "kokoro", 2)
    assert options(ToneOptions, settings, "tone_") == ToneOptions(0.5, ("nan",))


async def test_pool_offers_every_kind_in_the_order_of_the_settings() -> None:
    settings = Settings(
        models=("tone", "kokoro", "hibari"),
        qwen=("Qwen/Checkpoint",),
        remote=("far=http://localhost:1",),
        ray=("near",),
    )
    pool = build_pool(settings)
    assert (
        pool.names == settings.offered == ("checkpoint", "far", "near", "tone", "kokoro", "hibari")
    )
    assert sorted(name for spec in SPECS for name in spec.names(settings)) == sorted(
        settings.offered
    )
    await pool.aclose()


async def test_model_lives_in_a_process_unless_the_settings_say_otherwise() -> None:
    for isolated in (True, False):
        pool = build_pool(Settings(models=("tone",), isolate_models=isolated, log_level="error"))
        async with pool.lease("tone") as engine:
            assert (type(engine.inner._model).__name__ == "ProcessModel") is isolated  # type: ignore[attr-defined]
        await pool.aclose()
