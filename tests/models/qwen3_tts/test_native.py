"""Compiled code for CPUs equals its plain torch twins, and its absence is no error."""

import subprocess
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scripts.make_checkpoint import Shape, Stack, make_checkpoint
from torch import Tensor, nn

from tests.models.qwen3_tts.small import CPU, GREEDY, WISHES, spoken
from vivavoce.models.qwen3_tts.checkpoint.config import SamplingDefaults, StackConfig
from vivavoce.models.qwen3_tts.checkpoint.folder import Checkpoint, load_checkpoint
from vivavoce.models.qwen3_tts.kernels import native
from vivavoce.models.qwen3_tts.kernels.native import build, draws
from vivavoce.models.qwen3_tts.network.kv_cache import KvCache, Memory, PredictorStep, Step
from vivavoce.models.qwen3_tts.network.linear import Linear, WeightFormat
from vivavoce.models.qwen3_tts.network.sampler import Sampler, Sampling
from vivavoce.models.qwen3_tts.network.transformer import Decoder
from vivavoce.models.qwen3_tts.prompt.layout import PromptRequest

compiled = pytest.mark.skipif(not native.available(), reason="needs a C compiler, on Linux")
SHAPE = Shape(
    Stack(128, 192, 2, 4, 2, 32),
    Stack(64, 96, 2, 2, 1, 32),
    text_hidden=32,
    codebooks=4,
    codes=64,
)
PREPACKED, INT8 = WeightFormat.PREPACKED, WeightFormat.INT8
FORMS = [(PREPACKED, torch.float32), (PREPACKED, torch.bfloat16), (INT8, torch.float32)]


def decoders(heads: int, kv_heads: int) -> tuple[Decoder, Decoder, StackConfig]:
    """Return a plain decoder of noise, and the same in compiled float32."""
    config = StackConfig(64, 96, 3, heads, kv_heads, 32, 1e4, 1e-6)
    made = []
    for form in (WeightFormat.PLAIN, PREPACKED):
        generator = torch.Generator().manual_seed(heads)
        decoder = Decoder(config)
        for module in decoder.modules():
            for name, parameter in list(module.named_parameters(recurse=False)):
                noise = torch.randn(parameter.shape, generator=generator) / 8
                tensor = noise + (0 if isinstance(module, Linear) else 1)
                setattr(module, name, nn.Parameter(tensor, requires_grad=False))
            if isinstance(module, Linear):
                module.pack(form, torch.float32)
        made.append(decoder)
    return made[0], made[1], config


def caches(config: StackConfig, lengths: list[int], max_len: int) -> tuple[KvCache, KvCache]:
    """Return two equal caches with a past of noise."""
    data = torch.Generator().manual_seed(len(lengths))
    made = [KvCache(config, len(lengths), max_len, device=CPU, dtype=torch.float32) for _ in "12"]
    made[0].data.normal_(generator=data)
    made[1].data.copy_(made[0].data)
    for cache_ in made:
        cache_.lengths[:] = torch.tensor(lengths)
    return made[0], made[1]


def same(made: Tensor, expected: Tensor) -> bool:
    return float((made - expected).abs().max()) <= 1e-5 * float(expected.abs().max())


@compiled
@settings(max_examples=40, deadline=None)
@given(
    heads=st.sampled_from([(2, 1), (2, 2), (4, 2), (6, 2)]),
    rows=st.lists(st.tuples(st.integers(0, 40), st.booleans()), min_size=1, max_size=9),
    start=st.one_of(st.none(), st.integers(0, 5)),
    time=st.integers(1, 5),
    threads=st.integers(1, 3),
)
def test_decoder_makes_and_remembers_what_plain_torch_does(
    heads: tuple[int, int],
    rows: list[tuple[int, bool]],
    start: int | None,
    time: int,
    threads: int,
) -> None:
    lengths, alive = [length for length, _ in rows], torch.tensor([run for _, run in rows])
    plain, ours, config = decoders(*heads)
    time = 1 if start is None else time

    def memory(of: KvCache) -> Memory:
        if start is None:
            return Step(of, len(rows), 41, alive)
        return PredictorStep(of, len(rows), start, time)

    expected_cache, cache_ = caches(config, lengths, 48)
    x = torch.randn(len(rows), time, 64, generator=torch.Generator().manual_seed(time))
    before, threads_before = x.clone(), torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        expected, made = plain.read(x, memory(expected_cache)), ours.read(x, memory(cache_))
    finally:
        torch.set_num_threads(threads_before)
    counts = alive if start is None else torch.ones(len(rows), dtype=torch.bool)
    if counts.any():
        assert same(made[counts], expected[counts])
    assert made.isfinite().all()
    assert same(cache_.data[..., :-1, :], expected_cache.data[..., :-1, :])
    assert torch.equal(x, before)


@compiled
@pytest.mark.parametrize("positions", [3, 5, 64])
def test_prompts_are_rounded_like_their_bfloat16_weights(positions: int) -> None:
    generator = torch.Generator().manual_seed(positions)
    weight = torch.randn(48, 96, generator=generator).to(torch.bfloat16)
    x = torch.randn(1, positions, 96, generator=generator)
    matrix = native.Matrix(weight, None, None, rounding=True)
    expected = x.to(torch.bfloat16).double() @ weight.double().T
    assert (matrix(x) - expected).abs().max() < 1e-5 * expected.abs().max()
    # A frame's inputs are not.
    one = matrix(x[:, :2]) - x[:, :2].double() @ weight.double().T
    assert one.abs().max() < 1e-5 * expected.abs().max()


@cache
def speaking(form: WeightFormat, dtype: torch.dtype) -> Checkpoint:
    """Return one model in `form`, with sizes that compiled code takes."""
    with TemporaryDirectory() as folder:
        made = make_checkpoint(Path(folder), "custom_voice", SHAPE, seed=7)
        return load_checkpoint(made, CPU, dtype, form=form)


def codes(form: WeightFormat, dtype: torch.dtype, wish: int, beside: int = 0) -> Tensor:
    """Return 20 frames of a stream that speaks beside others."""
    checkpoint = speaking(form, dtype)
    batch = checkpoint.batch(beside + 1, 192)
    slots = [
        batch.open(*checkpoint.prompt(WISHES[number % len(WISHES)].request), WISHES[wish].sampling)
        for number in (*range(beside), wish)
    ]
    return spoken(batch, slots, 20)[-1]


@compiled
@pytest.mark.parametrize(("form", "dtype"), FORMS)
def test_stream_beside_twenty_others_makes_the_codes_it_makes_alone(
    form: WeightFormat, dtype: torch.dtype
) -> None:
    assert isinstance(speaking(form, dtype).talker.codec_head.packed, native.Matrix)
    assert torch.equal(codes(form, dtype, 0, beside=20), codes(form, dtype, 0))


@compiled
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_greedy_codes_are_those_of_plain_torch(dtype: torch.dtype) -> None:
    made = []
    for form in (PREPACKED, WeightFormat.PLAIN):
        # A released weight is a bfloat16 number, and so are these.
        checkpoint = speaking(form, dtype if form is PREPACKED else torch.float32)
        batch = checkpoint.batch(1, 192)
        request = PromptRequest("Hello there.", speaker="ryan", language="english")
        # Two positions, for which compiled code also reads the prompt.
        batch.open(checkpoint.prompt(request)[0][:2], torch.zeros(0, 128), Sampling(GREEDY, GREEDY))
        made.append(torch.stack([batch.step().codes[0].clone() for _ in range(20)]))
    assert torch.equal(*made)


DRAWS = st.builds(
    SamplingDefaults,
    temperature=st.sampled_from([0.3, 0.9, 2.0]),
    top_k=st.sampled_from([0, 1, 3, 50, 4000]),
    top_p=st.sampled_from([1.0, 1.0, 0.95, 0.6, 0.05]),
    greedy=st.sampled_from([False, False, False, True]),
)


@compiled
@settings(max_examples=100, deadline=None)
@given(
    wishes=st.lists(
        st.builds(
            Sampling,
            talker=DRAWS,
            predictor=DRAWS,
            repetition_penalty=st.sampled_from([1.0, 1.05, 2.0]),
            seed=st.integers(-(1 << 63), (1 << 63) - 1),
            min_frames=st.integers(0, 4),
        ),
        min_size=1,
        max_size=4,
    ),
    tied=st.booleans(),
    frame=st.integers(0, 5),
    seed=st.integers(0, 999),
)
def test_draws_are_those_of_plain_torch(
    wishes: list[Sampling], tied: bool, frame: int, seed: int
) -> None:
    config, rows = speaking(PREPACKED, torch.float32).config, len(wishes)
    sampler, generator = Sampler(config, rows + 1, CPU), torch.Generator().manual_seed(seed)
    for slot, wish in enumerate(wishes):
        sampler.set(slot, wish)
    sampler.seen[:] = torch.rand(sampler.seen.shape, generator=generator) > 0.5
    frames = torch.full((rows,), frame)
    noise = sampler.noise_plain(frames)
    assert draws.used_for(sampler.penalty)
    assert sampler.noise(frames) is None
    logits = 4 * torch.randn(rows, config.codec_vocab_size, generator=generator)
    if tied:
        logits = logits.round()
    assert torch.equal(
        sampler.sample_first(logits, frames), sampler.sample_first_plain(logits, frames)
    )
    logits = logits[:, : config.code_vocab_size]
    for codebook in range(1, config.codebooks):
        expected = sampler.sample_rest_plain(logits, None if noise is None else noise[codebook - 1])
        assert torch.equal(sampler.sample_rest(logits, frames, codebook, None), expected)


@pytest.fixture
def fresh() -> object:
    build.compiled.cache_clear()
    yield
    build.compiled.cache_clear()


@pytest.mark.usefixtures("fresh")
def test_machine_without_a_compiler_uses_torch(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    assert not native.available()
    assert not native.keeps(torch.ones(64, 64))
    assert "no C compiler" in caplog.text


@compiled
@pytest.mark.usefixtures("fresh")
def test_code_is_compiled_once_for_a_cache_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert native.available()
    kept = list(tmp_path.rglob("native-*"))
    assert [path.suffix for path in kept] == [".so"]
    build.compiled.cache_clear()

    def compiles_again(*_: object, **__: object) -> None:
        raise AssertionError("it was compiled before")

    monkeypatch.setattr(subprocess, "run", compiles_again)
    assert native.available()


@compiled
@pytest.mark.usefixtures("fresh")
def test_code_needs_no_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert native.available()


@compiled
@pytest.mark.usefixtures("fresh")
def test_compiler_that_fails_is_no_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("CC", "false")
    assert not native.available()
    assert "cannot be used" in caplog.text
