"""The key-value cache: what goes in comes out, at its own row and position only."""

import pytest
import torch

from tests.models.qwen3_tts.small import CPU
from vivavoce.models.qwen3_tts.checkpoint.config import StackConfig
from vivavoce.models.qwen3_tts.network.kv_cache import KvCache, PredictorStep, Prompt, Step

SHAPE = StackConfig(
    16, 16, layers=2, heads=4, kv_heads=2, head_dim=4, rope_theta=1e6, norm_eps=1e-6
)


def cache(slots: int = 3, max_len: int = 8) -> KvCache:
    """Return an empty cache."""
    return KvCache(SHAPE, slots, max_len, device=CPU, dtype=torch.float32)


def seen(mask: torch.Tensor | None) -> torch.Tensor:
    """Return the positions that attention may see, from the mask added to its scores."""
    assert mask is not None
    assert set(mask.flatten().tolist()) <= {0.0, -torch.inf}
    return mask == 0


def rotary(positions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return cosines and sines [positions, head_dim] for theta 1e6, head_dim 4.

    The pairs are (0, 2) and (1, 3).
    """
    angles = positions[:, None].float() * torch.tensor([1.0, 1e-3])
    return angles.cos().repeat(1, 2), torch.cat((-angles.sin(), angles.sin()), dim=1)


def test_step_writes_one_position_of_each_row_and_shows_no_later_one() -> None:
    kept = cache()
    kept.lengths[:] = torch.tensor([0, 4, 2])
    step = Step(kept, rows=2, window=6, alive=torch.tensor([True, True]))
    keys, values = step.remember(1, torch.ones(2, 2, 1, 4), torch.full((2, 2, 1, 4), 2.0))
    written = torch.zeros(3, 9, dtype=torch.bool)
    written[0, 0] = written[1, 4] = True
    for index, value in ((0, 1.0), (1, 2.0)):
        assert torch.equal(
            kept.data[1, index], written[:, None, :, None] * torch.full((3, 2, 9, 4), value)
        )
    assert not kept.data[0].any()
    assert keys.shape == values.shape == (2, 2, 6, 4)
    assert seen(step.mask)[:, 0, 0].tolist() == [[True] + [False] * 5, [True] * 5 + [False]]
    cosines, sines = rotary(torch.tensor([0, 4]))
    assert torch.equal(step.rotation[0], cosines[:, None, None])
    assert torch.equal(step.rotation[1], sines[:, None, None])


def test_step_leaves_rows_alone_that_are_not_alive_however_long_they_are() -> None:
    kept = cache()
    kept.lengths[:] = torch.tensor([8, 4, 2])
    step = Step(kept, rows=3, window=4, alive=torch.tensor([False, False, True]))
    keys, _ = step.remember(0, torch.ones(3, 2, 1, 4), torch.ones(3, 2, 1, 4))
    read = kept.data[:, :, :, :, :8]
    assert int(read.count_nonzero()) == 2 * 2 * 4
    assert read[0, :, 2, :, 2].all()
    assert keys.shape == (3, 2, 4, 4)


def test_rest_of_a_prompt_follows_its_beginning() -> None:
    kept = cache()
    kept.data.fill_(7)
    rest = Prompt(kept, slot=1, time=2, start=3)
    keys, _ = rest.remember(0, torch.ones(1, 2, 2, 4), torch.ones(1, 2, 2, 4))
    assert keys[0, 0, :, 0].tolist() == [7, 7, 7, 1, 1]
    assert torch.equal(rest.rotation[0], rotary(torch.tensor([3, 4]))[0][None, :, None])
    assert seen(rest.mask)[0, 0].tolist() == [[True] * 4 + [False], [True] * 5]
    assert (kept.data[:, :, [0, 2]] == 7).all()


def test_prompt_fills_one_slot_and_is_causal() -> None:
    kept = cache()
    prompt = Prompt(kept, slot=1, time=3)
    prompt.remember(0, torch.ones(1, 2, 3, 4), torch.ones(1, 2, 3, 4))
    assert kept.data[0, :, 1, :, :3].all()
    assert int(kept.data.count_nonzero()) == 2 * 2 * 3 * 4
    assert torch.equal(prompt.rotation[0], rotary(torch.arange(3))[0][None, :, None])
    assert seen(prompt.mask)[0, 0].tolist() == [
        [True, False, False],
        [True, True, False],
        [True, True, True],
    ]


@pytest.mark.parametrize(("start", "time"), [(0, 2), (2, 1), (5, 3)])
def test_burst_moves_all_rows_together(start: int, time: int) -> None:
    kept = cache()
    kept.data.fill_(7)
    new = torch.zeros(2, 2, time, 4)
    frame_cache = PredictorStep(kept, rows=2, start=start, time=time)
    keys, _ = frame_cache.remember(0, new, new)
    assert torch.equal(
        frame_cache.rotation[0], rotary(torch.arange(start, start + time))[0][None, :, None]
    )
    causal = torch.ones(time, start + time, dtype=torch.bool).tril(start)
    assert (
        causal.all()
        if frame_cache.mask is None
        else torch.equal(seen(frame_cache.mask)[0, 0], causal)
    )
    assert keys.shape == (2, 2, start + time, 4)
    assert (keys[:, :, :start] == 7).all()
    assert not keys[:, :, start:].any()
    assert (kept.data[:, :, 2] == 7).all()


def test_clearing_a_slot_empties_it_alone() -> None:
    kept = cache()
    kept.data.fill_(torch.nan)
    kept.lengths.fill_(5)
    kept.clear(1)
    assert not kept.data[:, :, 1].any()
    assert kept.data[:, :, [0, 2]].isnan().all()
    assert kept.lengths.tolist() == [5, 0, 5]
