"""The codec decoder equals the published one, streamed equals whole, streams are independent."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from hypothesis import given, settings  # noqa: E402 - after the check for torch
from hypothesis import strategies as st  # noqa: E402
from safetensors.torch import load_file  # noqa: E402

from tests.models.qwen3_tts.codec_checkpoints import (  # noqa: E402
    SHAPES,
    SLOW_RATE,
    CodecShape,
    random_codes,
    write_codec,
)
from vivavoce.models.qwen3_tts.codec import CodecDecoder, DecoderConfig, load_decoder  # noqa: E402
from vivavoce.models.qwen3_tts.codec.products import Conv, TransposedConv, can_pack  # noqa: E402
from vivavoce.models.qwen3_tts.codec.state import Past  # noqa: E402

CPU = torch.device("cpu")
DATA = Path(__file__).parent / "data"
FRAMES = 18
Make = Callable[..., CodecDecoder]

PACKED = pytest.param(
    True,
    id="packed",
    marks=pytest.mark.skipif(not can_pack(CPU, torch.float32), reason="needs oneDNN on x86-64"),
)
FORMS = pytest.mark.parametrize("packed", [pytest.param(False, id="plain"), PACKED])

RELEASED = DecoderConfig(hidden_size=512, intermediate_size=1024)


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Load a decoder of a shape and a dtype once, since it keeps no streams."""

    @cache
    def folder(shape: CodecShape) -> Path:
        return write_codec(tmp_path_factory.mktemp("codec"), shape, seed=3)

    @cache
    def load(
        shape: CodecShape = SLOW_RATE,
        dtype: "torch.dtype" = torch.float32,
        packed: bool | None = None,
    ) -> CodecDecoder:
        return load_decoder(folder(shape), CPU, dtype, packed=packed)

    return load


def in_chunks(decoder: CodecDecoder, codes: "torch.Tensor", sizes: list[int]) -> "torch.Tensor":
    """Return the samples of `codes` in chunks of `sizes`, repeated in a cycle."""
    states, parts, start, turn = [decoder.open() for _ in codes], [], 0, 0
    while start < codes.shape[-1]:
        end = min(start + sizes[turn % len(sizes)], codes.shape[-1])
        parts.append(decoder.step(codes[..., start:end], states))
        start, turn = end, turn + 1
    return torch.cat(parts, dim=-1)


@FORMS
@pytest.mark.parametrize(("name", "seed"), [("small", 7), ("grouped", 8)])
def test_samples_equal_those_of_the_published_package(
    tmp_path: Path, name: str, seed: int, packed: bool
) -> None:
    decoder = load_decoder(
        write_codec(tmp_path, SHAPES[name], seed), CPU, torch.float32, packed=packed
    )
    expected = load_file(DATA / f"codec_{name}.safetensors")["samples"]
    samples = decoder.decode(random_codes(SHAPES[name], 12, seed))
    assert 0.3 < float(samples.abs().max()) < 1  # loud enough to compare, and not clipped
    torch.testing.assert_close(samples, expected, atol=1e-4, rtol=0)


@given(sizes=st.lists(st.integers(1, 9), min_size=1, max_size=6), batch=st.integers(1, 3))
@settings(max_examples=12, deadline=None)
def test_streamed_equals_whole_at_any_chunking(make: Make, sizes: list[int], batch: int) -> None:
    codes = random_codes(SLOW_RATE, FRAMES, seed=1, batch=batch)
    for decoder, tolerance in (
        (make(dtype=torch.float64), 1e-12),
        (make(packed=False), 1e-4),
        (make(), 1e-4),  # packed where that can be
    ):
        torch.testing.assert_close(
            in_chunks(decoder, codes, sizes), decoder.decode(codes), atol=tolerance, rtol=0
        )


@FORMS
@pytest.mark.parametrize("sizes", [[1], [1, 2, 4, 8], [5, 3]])
@pytest.mark.parametrize("name", SHAPES)
def test_streamed_equals_whole_at_the_released_rates(
    make: Make, name: str, sizes: list[int], packed: bool
) -> None:
    decoder, codes = make(SHAPES[name], packed=packed), random_codes(SHAPES[name], 20, seed=2)
    samples = in_chunks(decoder, codes, sizes)
    assert samples.shape == (1, 20 * 1920)
    torch.testing.assert_close(samples, decoder.decode(codes), atol=1e-4, rtol=0)


def test_streamed_equals_whole_beyond_the_window_of_72_frames(make: Make) -> None:
    decoder, codes = make(SHAPES["small"]), random_codes(SHAPES["small"], 90, seed=2)
    whole = decoder.decode(codes, block_frames=90)
    torch.testing.assert_close(in_chunks(decoder, codes, [16, 1]), whole, atol=1e-4, rtol=0)


@pytest.mark.parametrize("packed", [PACKED])
@pytest.mark.parametrize("name", SHAPES)
def test_packed_weights_compute_what_plain_ones_do(make: Make, name: str, packed: bool) -> None:
    codes = random_codes(SHAPES[name], 12, seed=11, batch=3)
    plain = make(SHAPES[name], packed=False)
    fast = make(SHAPES[name], packed=packed)
    torch.testing.assert_close(
        in_chunks(fast, codes, [1, 4, 7]), plain.decode(codes), atol=1e-5, rtol=0
    )


@pytest.mark.parametrize("packed", [PACKED])
def test_a_packed_decoder_keeps_no_second_copy_of_its_weights(make: Make, packed: bool) -> None:
    left = [
        part
        for part in make(packed=packed).modules()
        if isinstance(part, Conv | TransposedConv | torch.nn.Linear)
    ]
    assert not left


def test_only_single_precision_on_a_processor_is_packed() -> None:
    assert not can_pack(CPU, torch.bfloat16)
    assert not can_pack(torch.device("cuda"), torch.float32)


@FORMS
@pytest.mark.parametrize("piece_frames", [1, 3, 100])
def test_pieces_of_any_size_sound_the_same(tmp_path: Path, piece_frames: int, packed: bool) -> None:
    decoder = load_decoder(write_codec(tmp_path, SLOW_RATE, 3), CPU, torch.float32, packed=packed)
    codes = random_codes(SLOW_RATE, FRAMES, seed=12, batch=3)
    decoder.piece_frames = None
    expected = decoder.decode(codes)
    decoder.piece_frames = piece_frames
    torch.testing.assert_close(in_chunks(decoder, codes, [1, 7, 4]), expected, atol=1e-4, rtol=0)


@given(
    lengths=st.lists(st.integers(1, FRAMES), min_size=1, max_size=5),
    rounds=st.lists(st.tuples(st.integers(1, 6), st.integers(1, 31)), min_size=1, max_size=40),
)
@settings(max_examples=12, deadline=None)
def test_a_stream_sounds_the_same_whoever_is_decoded_beside_it(
    make: Make, lengths: list[int], rounds: list[tuple[int, int]]
) -> None:
    decoder = make(dtype=torch.float64)
    codes = random_codes(SLOW_RATE, FRAMES, seed=4, batch=len(lengths))
    states = [decoder.open() for _ in lengths]
    done, parts = [0] * len(lengths), [[torch.empty(0, dtype=torch.float64)] for _ in lengths]
    for frames, members in rounds:  # the bits of `members` say who takes part
        rows = [i for i, n in enumerate(lengths) if members >> i & 1 and done[i] + frames <= n]
        if rows:
            chunk = torch.stack([codes[i, :, done[i] : done[i] + frames] for i in rows])
            for i, samples in zip(
                rows, decoder.step(chunk, [states[i] for i in rows]), strict=True
            ):
                parts[i].append(samples)
                done[i] += frames
    for i, frames in enumerate(done):
        alone = decoder.decode(codes[i : i + 1, :, :frames])[0]
        torch.testing.assert_close(torch.cat(parts[i]), alone, atol=1e-12, rtol=0)


def test_a_cloned_state_continues_on_its_own(make: Make) -> None:
    decoder, codes = make(), random_codes(SLOW_RATE, FRAMES, seed=5)
    other = random_codes(SLOW_RATE, FRAMES, seed=6)
    state = decoder.open()
    decoder.step(codes[..., :10], [state])
    branch = state.clone()
    decoder.step(other[..., 10:], [branch])
    rest = decoder.step(codes[..., 10:], [state])
    torch.testing.assert_close(rest, decoder.decode(codes)[:, 10 * 32 :], atol=1e-4, rtol=0)


def test_a_whole_decode_is_the_same_in_blocks_of_any_size(make: Make) -> None:
    decoder, codes = make(), random_codes(SLOW_RATE, 40, seed=7)
    torch.testing.assert_close(
        decoder.decode(codes, block_frames=7), decoder.decode(codes), atol=1e-4, rtol=0
    )


def test_no_frames_are_no_samples(make: Make) -> None:
    assert make().decode(random_codes(SLOW_RATE, 0, seed=0, batch=2)).shape == (2, 0)


def test_a_state_keeps_its_size_however_old_it_is(make: Make) -> None:
    decoder, state = make(), make().open()
    before = state.memory.shape
    decoder.step(random_codes(SLOW_RATE, 100, seed=8), [state])
    assert state.memory.shape == before == (decoder.state_elements,)
    assert int(state.age) == 100


def test_a_stream_of_the_released_shape_keeps_1_3_million_elements() -> None:
    with torch.device("meta"):
        decoder = CodecDecoder(RELEASED)
    assert 1_250_000 < decoder.state_elements < 1_350_000
    tensors = [
        *decoder.parameters(),
        *decoder.buffers(),
    ]  # codebooks and a few more are kept as buffers
    assert 110e6 < sum(tensor.numel() for tensor in tensors) < 118e6


@pytest.mark.parametrize("streams", [1, 3])
def test_a_step_reads_nothing_back_from_the_device(streams: int) -> None:
    # Tensors on the meta device have no values: whatever asked for one would raise.
    with torch.device("meta"):
        decoder = CodecDecoder(RELEASED)
        states = [decoder.open() for _ in range(streams)]
        samples = decoder.step(torch.zeros(streams, 16, 4, dtype=torch.int64), states)
    assert samples.shape == (streams, 4 * 1920)


def test_rows_of_a_pool_of_slots_are_stepped_by_index(make: Make) -> None:
    decoder, codes = make(), random_codes(SLOW_RATE, 6, seed=9, batch=2)
    pool, ages = torch.zeros(4, decoder.state_elements), torch.zeros(4, dtype=torch.int64)
    rows, parts = torch.tensor([3, 1]), []
    for chunk in codes.split(2, dim=-1):
        past = Past(pool.index_select(0, rows), ages.index_select(0, rows))
        parts.append(decoder(chunk, past).detach())
        pool.index_copy_(0, rows, past.memory)
        ages.index_add_(0, rows, torch.full((2,), 2))
    torch.testing.assert_close(torch.cat(parts, dim=-1), decoder.decode(codes), atol=1e-4, rtol=0)
    assert not pool[[0, 2]].any()


def test_bfloat16_stays_close_to_float32(make: Make) -> None:
    codes = random_codes(SHAPES["small"], 12, seed=10)
    exact = make(SHAPES["small"]).decode(codes)
    coarse = make(SHAPES["small"], torch.bfloat16).decode(codes)
    assert coarse.dtype == torch.bfloat16
    error = (coarse.float() - exact).square().mean() / exact.square().mean()
    assert float(error) < 0.01  # 20 dB
