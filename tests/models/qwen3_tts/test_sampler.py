"""The sampler equals a plain one, with separate settings and random numbers for each row."""

import math
import random
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from tests.models.qwen3_tts.small import CPU, GREEDY, small
from vivavoce.errors import BadRequest
from vivavoce.models.qwen3_tts.checkpoint.config import SamplingDefaults
from vivavoce.models.qwen3_tts.network.sampler import (
    Sampler,
    Sampling,
    SamplingTensors,
    counter,
    draw,
    gumbel,
    penalise,
    uniform,
)

LOGITS = [2.0, -1.0, 0.5, 3.0, 1.9, -4.0, 0.0, 2.5, -0.3, 1.0]
DRAWS = 20_000
SETTINGS = [
    SamplingDefaults(1.0, 0, 1.0), SamplingDefaults(0.9, 50, 1.0), SamplingDefaults(0.9, 3, 1.0),
    SamplingDefaults(2.5, 0, 0.8), SamplingDefaults(0.6, 0, 0.3), SamplingDefaults(1.4, 6, 0.75),
    SamplingDefaults(0.7, 1, 1.0),
]  # fmt: skip


def plain_probabilities(logits: list[float], settings: SamplingDefaults) -> list[float]:
    """Return the probability of each token: temperature, then top-k, then top-p."""
    order = sorted(range(len(logits)), key=lambda token: -logits[token])
    if settings.top_k:
        order = order[: settings.top_k]
    weights = {token: math.exp(logits[token] / settings.temperature) for token in order}
    total, reached, kept = sum(weights.values()), 0.0, []
    for token in order:
        kept.append(token)
        reached += weights[token] / total
        if reached >= settings.top_p:
            break
    total = sum(weights[token] for token in kept)
    return [weights[token] / total if token in kept else 0.0 for token in range(len(logits))]


def tensors(settings: list[SamplingDefaults]) -> SamplingTensors:
    """Return one row for each of `settings`."""
    rows = SamplingTensors(len(settings), CPU)
    for row, setting in enumerate(settings):
        rows.set(row, setting)
    return rows


def repeated(settings: list[SamplingDefaults], times: int) -> SamplingTensors:
    """Return one row for each of `settings`, each repeated `times` times."""
    rows = tensors(settings)
    for name, tensor in vars(rows).items():
        if isinstance(tensor, Tensor):
            setattr(rows, name, tensor.repeat_interleave(times))
    return rows


def close(counts: Tensor, probabilities: list[float]) -> bool:
    """True if `counts` are within five standard errors of their expectation.

    A token with probability 0 must not be drawn.
    """
    drawn = int(counts.sum())
    return all(
        abs(count - drawn * p) <= 5 * math.sqrt(drawn * p * (1 - p)) + 1e-9
        for count, p in zip(counts.tolist(), probabilities, strict=True)
    )


def test_rows_of_one_batch_follow_the_plain_samplers_distributions() -> None:
    rows = len(SETTINGS) * DRAWS
    key = counter(torch.arange(rows), torch.zeros(rows, dtype=torch.int64), 0)
    tokens = draw(torch.tensor(LOGITS).repeat(rows, 1), repeated(SETTINGS, DRAWS), key).view(
        len(SETTINGS), DRAWS
    )
    for setting, drawn in zip(SETTINGS, tokens, strict=True):
        assert close(drawn.bincount(minlength=len(LOGITS)), plain_probabilities(LOGITS, setting)), (
            setting
        )


def plain_first(logits: list[float], seen: set[int], sampling: Sampling) -> list[float]:
    """Return the probability of each first code, with the penalty for seen ones."""
    penalty = sampling.repetition_penalty
    scores = [
        score if code not in seen else score / penalty if score > 0 else score * penalty
        for code, score in enumerate(logits)
    ]
    return plain_probabilities(scores, sampling.talker)


def chi_square(counts: list[int], probabilities: list[float]) -> tuple[float, int]:
    """Return Pearson's statistic and its degrees of freedom.

    Tokens expected less than five times are counted as one.
    """
    drawn = sum(counts)
    likely = [
        (count, drawn * p) for count, p in zip(counts, probabilities, strict=True) if drawn * p >= 5
    ]
    rest = (
        drawn - sum(count for count, _ in likely),
        drawn - sum(expected for _, expected in likely),
    )
    cells = [*likely, rest] if rest[1] >= 5 else likely
    return sum((count - expected) ** 2 / expected for count, expected in cells), len(cells) - 1


@pytest.mark.parametrize("seed", range(3))
def test_first_codes_follow_the_plain_sampler_at_any_settings_of_each_row(seed: int) -> None:
    chance, rows, draws = random.Random(seed), 3, 2000
    choices = {
        "temperature": [0.4, 0.9, 1.6, 3.0],
        "top_k": [0, 2, 9, 50, 4000],
        "top_p": [1.0, 0.9, 0.6, 0.2],
    }
    wanted = [
        Sampling(
            SamplingDefaults(**{name: chance.choice(values) for name, values in choices.items()}),
            repetition_penalty=chance.choice([0.8, 1.0, 1.05, 1.5, 4.0]),
            min_frames=0,
        )
        for _ in range(rows)
    ]
    logits = [[chance.gauss(0, 2) for _ in range(40)] for _ in range(rows)]
    seen = [set(chance.sample(range(40), 12)) for _ in range(rows)]
    drawn = first_codes(wanted, torch.tensor(logits), seen, draws)
    for row, sampling in enumerate(wanted):
        expected = plain_first(logits[row], seen[row], sampling)
        counts = drawn[row].bincount(minlength=len(expected)).tolist()
        assert len(counts) == len(expected)  # nothing that has no sound
        assert all(p > 0 for count, p in zip(counts, expected, strict=True) if count), sampling
        statistic, freedom = chi_square(counts, expected)
        if freedom:
            # Wilson and Hilferty: four standard deviations, which one row in thirty thousand
            # exceeds by chance.
            assert (
                statistic
                <= freedom * (1 - 2 / (9 * freedom) + 4 * math.sqrt(2 / (9 * freedom))) ** 3
            ), sampling


def first_codes(wanted: list[Sampling], logits: Tensor, seen: list[set[int]], draws: int) -> Tensor:
    """Return first codes [rows, draws] from `logits` [rows, codes].

    Each draw has another seed and frame.
    """
    rows, codes = logits.shape
    # 1024 more entries, as in a checkpoint, have no sound; one of them ends the speech, and here is
    # never likely.
    ids = replace(small().config.codec_ids, eos=codes)
    sampler = Sampler(
        replace(small().config, codec_vocab_size=codes + 1024, codec_ids=ids), rows * draws, CPU
    )
    sampler.talker = repeated([sampling.talker for sampling in wanted], draws)
    sampler.penalty = torch.tensor(
        [sampling.repetition_penalty for sampling in wanted]
    ).repeat_interleave(draws)
    sampler.seed = torch.arange(rows * draws) // 3
    for row, heard in enumerate(seen):
        sampler.seen[row * draws : (row + 1) * draws, sorted(heard)] = True
    scores = torch.full((rows, codes + 1024), 9.0)
    scores[:, :codes], scores[:, codes] = logits, -1e30
    return sampler.sample_first(
        scores.repeat_interleave(draws, dim=0), torch.arange(rows * draws) % 3
    ).view(rows, draws)


@pytest.mark.parametrize("what", ["seed", "frame", "codebook"])
def test_draws_of_neighbouring_counters_are_independent(what: str) -> None:
    numbers, zeros = torch.arange(DRAWS), torch.zeros(DRAWS, dtype=torch.int64)
    near = {
        "seed": (counter(2 * numbers, zeros, 0), counter(2 * numbers + 1, zeros, 0)),
        "frame": (counter(zeros + 7, 2 * numbers, 0), counter(zeros + 7, 2 * numbers + 1, 0)),
        "codebook": (counter(numbers, zeros, 1), counter(numbers, zeros, 2)),
    }[what]
    logits, setting = torch.zeros(DRAWS, 4), repeated([SamplingDefaults(1.0, 0, 1.0)], DRAWS)
    pairs = 4 * draw(logits, setting, near[0]) + draw(logits, setting, near[1])
    assert close(pairs.bincount(minlength=16), [1 / 16] * 16)


def test_a_row_draws_the_same_alone_and_among_others() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(len(SETTINGS), 64, generator=generator)
    key = counter(torch.arange(len(SETTINGS)), torch.arange(len(SETTINGS)), 3)
    together = draw(logits, tensors(SETTINGS), key)
    for row, setting in enumerate(SETTINGS):
        assert draw(logits[row : row + 1], tensors([setting]), key[row : row + 1]) == together[row]


def test_greedy_rows_take_the_best_beside_rows_that_draw() -> None:
    key = counter(torch.arange(200), torch.zeros(200, dtype=torch.int64), 0)
    rows = tensors([GREEDY, SamplingDefaults(5.0, 0, 1.0)] * 100)
    tokens = draw(torch.tensor(LOGITS).repeat(200, 1), rows, key)
    assert set(tokens[::2].tolist()) == {3}
    assert len(set(tokens[1::2].tolist())) > 5


def test_random_numbers_stay_inside_the_open_interval_and_fill_it() -> None:
    numbers = uniform(counter(torch.arange(-2000, 2000), torch.arange(4000), 5), 512)
    assert 0 < float(numbers.min()) < 1e-5
    assert 1 - 1e-5 < float(numbers.max()) < 1
    assert abs(float(numbers.double().mean()) - 0.5) < 5 * 0.2887 / math.sqrt(numbers.numel())


@pytest.mark.parametrize("key", [0, -1, (1 << 63) - 1, -(1 << 63)])
def test_extreme_seeds_are_seeds_like_others(key: int) -> None:
    numbers = uniform(counter(torch.tensor([key]), torch.tensor([8191]), 15), 1000)
    assert torch.isfinite(torch.log(-torch.log(numbers))).all()


def test_noise_of_all_codebooks_at_once_is_that_of_each() -> None:
    seeds, frames = torch.tensor([3, -1, 1 << 62]), torch.tensor([0, 7, 8191])
    together = gumbel(counter(seeds, frames, torch.arange(1, 16)[:, None]), 64)
    assert together.shape == (15, 3, 64)
    for codebook, noise in enumerate(together, 1):
        assert torch.equal(noise, gumbel(counter(seeds, frames, codebook), 64))


def test_penalty_lowers_what_was_said_and_nothing_else() -> None:
    scores = torch.tensor([[2.0, -2.0, 1.0, -1.0]] * 2)
    seen = torch.tensor([[True, True, False, False], [False] * 4])
    expected = torch.tensor([[1.0, -4.0, 1.0, -1.0], [2.0, -2.0, 1.0, -1.0]])
    assert torch.equal(penalise(scores, seen, torch.tensor([2.0, 2.0])), expected)


def test_penalty_counts_only_this_streams_own_first_codes() -> None:
    sampler = _sampler([Sampling(GREEDY, GREEDY, repetition_penalty=2.0)] * 3)
    logits = torch.full((3, 3072), -5.0)
    logits[:, 10], logits[:, 11] = 3.0, 2.0
    number = torch.full((3,), 5)
    sampler.mark_seen(sampler.sample_first(logits, number), torch.tensor([True, False, True]))
    assert sampler.sample_first(logits, number).tolist() == [
        11,
        10,
        11,
    ]  # the second row's stream was not alive
    sampler.set(0, Sampling(GREEDY, GREEDY, repetition_penalty=2.0))
    assert sampler.sample_first(logits, number).tolist() == [
        10,
        10,
        11,
    ]  # the first row has a new stream
    sampler.mark_seen(torch.tensor([12, 12, 12]), torch.tensor([False, False, False]))
    assert sampler.sample_first(logits, number).tolist() == [10, 10, 11]


def test_speech_cannot_end_before_its_first_frames_nor_say_ids_without_sound() -> None:
    eos = small().config.codec_ids.eos
    sampler = _sampler([Sampling(GREEDY, GREEDY)] * 3)
    logits = torch.zeros(3, 3072)
    logits[:, 2048:], logits[:, eos], logits[:, 77] = 9.0, 8.0, 1.0
    assert sampler.sample_first(logits, torch.tensor([0, 1, 2])).tolist() == [77, 77, eos]


@pytest.mark.parametrize(
    ("field", "make"),
    [
        ("temperature", lambda: Sampling(SamplingDefaults(temperature=0))),
        ("top_k", lambda: Sampling(SamplingDefaults(top_k=-1))),
        ("subtalker_top_p", lambda: Sampling(predictor=SamplingDefaults(top_p=1.5))),
        ("repetition_penalty", lambda: Sampling(repetition_penalty=0.0)),
        ("seed", lambda: Sampling(seed=1 << 63)),
    ],
)
def test_settings_without_meaning_are_refused_by_name(field: str, make: object) -> None:
    with pytest.raises(BadRequest) as caught:
        make()  # type: ignore[operator]
    assert caught.value.field == field


def _sampler(sampling: list[Sampling]) -> Sampler:
    sampler = Sampler(small().config, len(sampling), CPU)
    for slot, settings in enumerate(sampling):
        sampler.set(slot, settings)
    return sampler
