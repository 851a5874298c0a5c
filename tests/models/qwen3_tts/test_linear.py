"""Weight forms give the plain one's results within their precision, and keep nothing twice."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch
import torch.nn.functional as F
from scripts.make_checkpoint import Shape, Stack, make_checkpoint
from torch import Tensor, nn

from tests.models.qwen3_tts.small import CPU, SMALL
from vivavoce.errors import EngineFault
from vivavoce.models.qwen3_tts.checkpoint.folder import Checkpoint, load_checkpoint
from vivavoce.models.qwen3_tts.kernels import installed, native
from vivavoce.models.qwen3_tts.network.kv_cache import KvCache, PredictorStep, Prompt
from vivavoce.models.qwen3_tts.network.linear import (
    Linear,
    WeightFormat,
    packed,
    packed_type,
    works,
)
from vivavoce.models.qwen3_tts.network.packing import packing
from vivavoce.models.qwen3_tts.network.sampler import Sampling
from vivavoce.models.qwen3_tts.prompt.layout import PromptRequest
from vivavoce.models.qwen3_tts.runtime.device import choose_form


@pytest.fixture(params=["compiled", "torch"], autouse=True)
def products(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run each test with products by compiled code, and by torch's libraries."""
    if request.param == "compiled" and not native.available():
        pytest.skip("needs a C compiler")
    if request.param == "torch":
        monkeypatch.setattr(native.build, "compiled", lambda: None)
    for kept in (works, wide):
        kept.cache_clear()
    yield
    for kept in (works, wide):
        kept.cache_clear()


FORMS = [
    pytest.param(
        form,
        dtype,
        id=f"{form.value}-{str(dtype).removeprefix('torch.')}",
        marks=pytest.mark.skipif(
            not works(form, dtype), reason="this processor or this torch does not have it"
        ),
    )
    for form, dtype in (
        (WeightFormat.PREPACKED, torch.float32),
        (WeightFormat.PREPACKED, torch.bfloat16),
        (WeightFormat.PREPACKED, torch.float16),
        (WeightFormat.INT8, torch.float32),
    )
]
# Wide enough for rounding to average out as it does at the released shapes, small enough for a
# test.
WIDE = Shape(
    Stack(256, 768, 4, 4, 2, 64),
    Stack(256, 768, 2, 4, 2, 64),
    text_hidden=64,
    codebooks=8,
    codes=512,
)


def rounding(form: WeightFormat, dtype: torch.dtype) -> float:
    """Return the error of one weight or input, relative to the largest in its row.

    It is half a step of the form's numbers.
    """
    if form is WeightFormat.INT8:
        return 1 / 127
    return {torch.float32: 1e-6, torch.bfloat16: 2**-8, torch.float16: 2**-11}[packed_type(dtype)]


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(("form", "dtype"), FORMS)
def test_every_form_multiplies_as_the_plain_one_within_its_rounding(
    form: WeightFormat, dtype: torch.dtype, bias: bool
) -> None:
    generator = torch.Generator().manual_seed(1)
    weight = torch.randn(96, 160, generator=generator)
    added = torch.randn(96, generator=generator) if bias else None
    product = packed(weight, added, form, dtype)
    for rows in (1, 2, 3, 8, 17, 40):
        x = torch.randn(rows, 2, 160, generator=generator)
        # Errors of 160 products add up like a random walk; seven standard deviations of it.
        allowed = 7 * rounding(form, dtype) * 160**0.5 * 3
        made = product(x)
        assert made.dtype == torch.float32
        assert float((made - F.linear(x, weight, added)).abs().max()) < allowed


@pytest.mark.parametrize(("form", "dtype"), FORMS)
def test_row_loses_nothing_beside_one_a_million_times_larger(
    form: WeightFormat, dtype: torch.dtype
) -> None:
    generator = torch.Generator().manual_seed(2)
    product = packed(torch.randn(64, 128, generator=generator), None, form, dtype)
    quiet, loud = torch.randn(2, 1, 128, generator=generator)
    beside = product(torch.cat((quiet, 1e6 * loud)))[:1]
    alone = product(quiet)
    assert (
        float((beside - alone).abs().max() / alone.abs().max())
        < max(rounding(form, dtype), 1e-5) * 4
    )


@pytest.mark.parametrize(("form", "dtype"), FORMS)
def test_packed_matrices_are_kept_once_and_counted(
    form: WeightFormat, dtype: torch.dtype, tmp_path: Path
) -> None:
    make_checkpoint(tmp_path, "custom_voice", SMALL)
    talker = load_checkpoint(tmp_path, CPU, dtype, form=form).talker
    matrices = [module for module in talker.modules() if isinstance(module, Linear)]
    assert matrices
    assert all(matrix.weight is None and matrix.bias is None for matrix in matrices)
    assert talker.dtype == torch.float32
    head = SMALL.codec_vocab * SMALL.talker.hidden
    assert talker.codec_head.stored_bytes == head * (
        1 if form is WeightFormat.INT8 else dtype.itemsize
    )


@cache
def wide(form: WeightFormat, dtype: torch.dtype) -> Checkpoint:
    """Return the same wide model in `form`."""
    with TemporaryDirectory() as folder:
        return load_checkpoint(
            make_checkpoint(Path(folder), "custom_voice", WIDE, seed=3), CPU, dtype, form=form
        )


@cache
def said() -> tuple[Tensor, Tensor]:
    """Return a prompt [positions, hidden] and 24 frames of codes, drawn by the plain model."""
    checkpoint = wide(WeightFormat.PLAIN, torch.float32)
    prompt, trailing = checkpoint.prompt(
        PromptRequest("Some words to say.", speaker="ryan", language="english")
    )
    batch = checkpoint.batch(1, len(prompt) + 32)
    batch.open(prompt, trailing, Sampling(seed=1))
    return prompt, torch.stack([batch.step().codes[0] for _ in range(24)])


def forced(checkpoint: Checkpoint, prompt: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
    """Return the logits of talker and predictor for the given `codes`.

    The talker's are for each frame, the predictor's for each later code.
    """
    talker, config = checkpoint.talker, checkpoint.config
    pad = talker.embed_text(torch.tensor([config.text_ids.pad]))
    heard = torch.cat((prompt, talker.embed_frames(codes[:-1]) + pad))
    memory = Prompt(
        KvCache(config.talker, 1, len(heard), device=CPU, dtype=talker.dtype), 0, len(heard)
    )
    hidden = talker.model.decode(heard[None], memory)[0, len(prompt) - 1 :]  # [frames, hidden]
    predictor, frames = talker.code_predictor, len(codes)
    later = [table(codes[:, at + 1]) for at, table in enumerate(predictor.model.codec_embedding)][
        :-1
    ]
    inputs = torch.stack(
        (hidden, talker.embed_codec(codes[:, 0]), *later), dim=1
    )  # [frames, codebooks, hidden]
    frame_cache = KvCache(
        config.predictor, frames, config.codebooks, device=CPU, dtype=talker.dtype
    )
    read = PredictorStep(frame_cache, frames, 0, config.codebooks)
    out = predictor.model.decode(predictor.small_to_mtp_projection(inputs), read)[:, 1:]
    rest = torch.stack([head(out[:, at]) for at, head in enumerate(predictor.lm_head)], dim=1)
    return talker.codec_head(hidden), rest.flatten(0, 1)


# Mean Kullback-Leibler divergences of the talker's and the predictor's draws at temperature 0.9.
# Measured with this model: float32 and float16 5e-13 (the weights are bfloat16 numbers, which both
# hold without loss), int8 2.3e-4 and 4.8e-4, allowed eight times as much because a processor
# without VNNI rounds inputs to seven bits. bfloat16 is bounded by ten times what was measured at
# the released shape, 3e-5 and 6e-5.
DIVERGENCE = {
    torch.float32: (1e-10, 1e-10),
    torch.float16: (1e-10, 1e-10),
    torch.bfloat16: (3e-4, 6e-4),
}


@pytest.mark.parametrize(("form", "dtype"), FORMS)
def test_draws_of_every_form_are_nearly_those_of_the_plain_one(
    form: WeightFormat, dtype: torch.dtype
) -> None:
    allowed = (2e-3, 4e-3) if form is WeightFormat.INT8 else DIVERGENCE[packed_type(dtype)]
    exact = forced(wide(WeightFormat.PLAIN, torch.float32), *said())
    ours = forced(wide(form, dtype), *said())
    for one, other, most in zip(exact, ours, allowed, strict=True):
        p, q = ((logits.double() / 0.9).log_softmax(-1) for logits in (one, other))
        assert float((p.exp() * (p - q)).sum(-1).mean()) < most


@pytest.mark.parametrize(
    ("name", "form"),
    [("auto", WeightFormat.PREPACKED), ("plain", WeightFormat.PLAIN), ("int8", WeightFormat.INT8)],
)
def test_setting_chooses_the_form_on_a_cpu(name: str, form: WeightFormat) -> None:
    wanted = (
        form if form is WeightFormat.PLAIN or works(form, torch.float32) else WeightFormat.PLAIN
    )
    assert choose_form(name, CPU, torch.float32) is wanted


@pytest.mark.parametrize("name", ["auto", "prepacked", "int8"])
def test_form_falls_back_to_plain_on_other_devices_and_says_so_if_it_was_asked_for(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert choose_form(name, torch.device("mps"), torch.bfloat16) is WeightFormat.PLAIN
    assert ("plain" in caplog.text) is (name != "auto")


@pytest.mark.skipif(not installed(), reason="needs Triton: pip install triton, on Linux")
def test_bytes_on_cuda_are_for_the_kernel_which_knows_no_float16(
    caplog: pytest.LogCaptureFixture,
) -> None:
    cuda = torch.device("cuda")
    assert (
        choose_form("int8", cuda, torch.bfloat16)
        is choose_form("int8", cuda, torch.float32)
        is WeightFormat.INT8_WEIGHTS
    )
    assert choose_form("auto", cuda, torch.bfloat16) is WeightFormat.PLAIN
    assert not caplog.text
    assert choose_form("int8", cuda, torch.float16) is WeightFormat.PLAIN
    assert "weights 'int8' are not available on cuda" in caplog.text


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_draws_of_bytes_with_exact_inputs_are_nearly_those_of_the_plain_model(
    dtype: torch.dtype,
) -> None:
    checkpoint = wide(WeightFormat.INT8_WEIGHTS, dtype)
    exact = forced(wide(WeightFormat.PLAIN, torch.float32), *said())
    prompt, codes = said()
    ours = forced(checkpoint, prompt.to(dtype), codes)
    for one, other, most in zip(exact, ours, (1e-3, 2e-3), strict=True):
        p, q = ((logits.double() / 0.9).log_softmax(-1) for logits in (one, other))
        divergence = float((p.exp() * (p - q)).sum(-1).mean())
        assert 0 < divergence < most


def test_bytes_are_kept_once_beside_a_scale_a_row(tmp_path: Path) -> None:
    make_checkpoint(tmp_path, "custom_voice", SMALL)
    talker = load_checkpoint(tmp_path, CPU, torch.bfloat16, form=WeightFormat.INT8_WEIGHTS).talker
    matrices = [module for module in talker.modules() if isinstance(module, Linear)]
    assert talker.dtype == torch.bfloat16  # between matrices
    for matrix in matrices:
        assert matrix.weight is not None
        assert matrix.scale is not None
        assert (matrix.weight.dtype, matrix.scale.dtype) == (torch.int8, torch.float32)
        assert matrix.weight.abs().amax(1).eq(127).all()
    assert talker.codec_head.stored_bytes == SMALL.codec_vocab * SMALL.talker.hidden


def test_torch_without_kernels_for_bytes_runs_plain(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def absent(*_: object) -> None:
        raise RuntimeError("Didn't find engine for operation quantized::linear_prepack NoQEngine")

    monkeypatch.setattr(native.build, "compiled", lambda: None)
    monkeypatch.setattr(torch.ops.quantized, "linear_prepack", absent)
    assert choose_form("int8", CPU, torch.float32) is WeightFormat.PLAIN
    assert "weights 'int8' are not available on cpu" in caplog.text


def test_unknown_form_is_refused_with_the_known_ones() -> None:
    with pytest.raises(EngineFault, match="'int4' are not one of auto, plain, prepacked, int8"):
        choose_form("int4", CPU, torch.float32)


@pytest.mark.parametrize("cores", [1, 3])
@pytest.mark.parametrize(("form", "dtype"), FORMS)
def test_matrices_packed_side_by_side_are_those_packed_alone(
    form: WeightFormat, dtype: torch.dtype, cores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vivavoce.models.qwen3_tts.network.packing.available_cores", lambda: cores)
    before = torch.backends.quantized.engine
    matrices = [filled(number) for number in range(12)]
    alone = [
        packed(matrix.weight.detach().clone(), None, form, dtype)
        for matrix in matrices
        if matrix.weight is not None
    ]
    with packing(form, dtype) as pack:
        for matrix in matrices:
            pack(matrix)
            pack(nn.SiLU())  # no matrix: left alone
    x = torch.randn(2, 160, generator=torch.Generator().manual_seed(2))
    for matrix, product in zip(matrices, alone, strict=True):
        assert matrix.weight is None
        assert torch.equal(matrix(x), product(x))
    assert torch.backends.quantized.engine == before


@pytest.mark.parametrize(("form", "dtype"), FORMS)
def test_matrix_that_cannot_be_packed_is_no_silent_gap(
    form: WeightFormat, dtype: torch.dtype
) -> None:
    matrix = filled(0)
    matrix.pack(form, dtype)
    with pytest.raises(AssertionError, match="packed already"), packing(form, dtype) as pack:
        pack(matrix)


def filled(seed: int) -> Linear:
    """Return a plain matrix of noise."""
    matrix = Linear(160, 96)
    matrix.weight = nn.Parameter(
        torch.randn(96, 160, generator=torch.Generator().manual_seed(seed))
    )
    return matrix
