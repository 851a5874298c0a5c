"""Frames: a stream's codes depend on its own request alone, with any other streams."""

import inspect
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scripts.make_checkpoint import make_checkpoint
from torch.utils._python_dispatch import TorchDispatchMode

from tests.models.qwen3_tts.small import CPU, SMALL, WISHES, alone, small, spoken
from vivavoce.errors import BadRequest, Overloaded
from vivavoce.models.qwen3_tts.checkpoint.folder import load_checkpoint
from vivavoce.models.qwen3_tts.network.linear import WeightFormat
from vivavoce.models.qwen3_tts.prompt.layout import PromptRequest
from vivavoce.models.qwen3_tts.runtime.batch import decode_frame
from vivavoce.models.qwen3_tts.runtime.cuda import CudaStream

HOST_READS = {"_local_scalar_dense", "nonzero", "masked_select", "equal", "_unique2", "unique_dim"}


@pytest.mark.parametrize("form", [WeightFormat.PLAIN, WeightFormat.PREPACKED])
def test_stream_beside_fifteen_others_makes_the_codes_it_makes_alone(form: WeightFormat) -> None:
    batch = small(form).batch(16, 192)
    numbers = [number % len(WISHES) for number in range(16)]
    slots = [WISHES[number].open(batch) for number in numbers]
    for number, codes in zip(numbers, spoken(batch, slots, 24), strict=True):
        assert torch.equal(codes, alone(number))


@pytest.mark.parametrize("fixed", [False, True])
@settings(max_examples=15, deadline=None)
@given(
    events=st.lists(
        st.sampled_from(["open", "close", "pause", "resume", "step", "step", "step"]), max_size=40
    ),
    data=st.data(),
)
def test_any_order_of_joining_pausing_and_leaving_gives_the_same_codes(
    fixed: bool, events: list[str], data: st.DataObject
) -> None:
    batch = small().batch(3, 192, CudaStream(CPU, fixed=fixed))
    owner: dict[int, int] = {}
    heard: dict[int, list[torch.Tensor]] = {}
    running: set[int] = set()
    for event in events:
        if event == "open" and len(owner) < 3:
            number = data.draw(st.integers(0, len(WISHES) - 1))
            slot = WISHES[number].open(batch)
            owner[slot], heard[slot] = number, []
            running.add(slot)
        elif event == "step" and running:
            codes = batch.step().codes
            for slot in running:
                heard[slot].append(codes[slot])
                assert torch.equal(codes[slot], alone(owner[slot], 40)[len(heard[slot]) - 1])
        elif event in ("close", "pause", "resume") and owner:
            slot = data.draw(st.sampled_from(sorted(owner)))
            getattr(batch, event)(slot)
            (running.add if event == "resume" else running.discard)(slot)
            if event == "close":
                del owner[slot]


@pytest.mark.parametrize("frames", [0, 1, 7])
def test_slot_of_a_cancelled_stream_leaves_nothing_behind(frames: int) -> None:
    batch = small().batch(2, 192)
    first, second = WISHES[1].open(batch), WISHES[3].open(batch)
    spoken(batch, [first], frames)
    for tensor in (batch._state.cache.data, batch._state.frame_cache.data):
        tensor[:, :, first] = torch.nan  # the worst that a stream could leave
    batch._state.inputs[first] = torch.nan
    batch.close(first)
    assert WISHES[0].open(batch) == first
    ours, neighbour = spoken(batch, [first, second], 8)
    assert torch.equal(ours, alone(0)[:8])
    assert torch.equal(neighbour, alone(3)[frames : frames + 8])


def test_frame_touches_no_slot_beyond_its_rows_and_no_paused_one() -> None:
    batch = small().batch(3, 192)
    for number in (0, 1, 2):
        WISHES[number].open(batch)
    batch.pause(1)
    batch.close(2)
    state = batch._state
    before = {
        name: tensor.clone()
        for name, tensor in vars(state).items()
        if isinstance(tensor, torch.Tensor)
    }
    past, lengths = state.cache.data.clone(), state.cache.lengths.clone()
    batch.step()
    for name in ("inputs", "text", "text_length", "frame", "alive"):
        assert torch.equal(getattr(state, name)[1:], before[name][1:]), name
    assert torch.equal(state.cache.lengths - lengths, torch.tensor([1, 0, 0]))
    assert torch.equal(state.cache.data[:, :, 2], past[:, :, 2])
    used = int(lengths[1])
    assert torch.equal(state.cache.data[:, :, 1, :, :used], past[:, :, 1, :, :used])


def test_same_seed_repeats_and_another_seed_differs() -> None:
    batch = small().batch(3, 192)
    wish = WISHES[0]
    other = replace(wish, sampling=replace(wish.sampling, seed=99))
    first, again, another = spoken(batch, [w.open(batch) for w in (wish, wish, other)], 12)
    assert torch.equal(first, again)
    assert not torch.equal(first, another)


def test_text_fed_while_speaking_counts_as_if_it_had_been_there_from_the_start() -> None:
    checkpoint, wish = small(), WISHES[4]
    prompt, trailing = checkpoint.prompt(
        PromptRequest(wish.text, speaker="ryan", language="english", stream_text=True)
    )
    batch = checkpoint.batch(1, 192)
    slot = batch.open(prompt, trailing[:3], wish.sampling)
    start = spoken(batch, [slot], 3)[0]
    batch.pause(slot)
    batch.feed(slot, trailing[3:5])
    batch.feed(slot, trailing[5:])
    batch.resume(slot)
    rest = spoken(batch, [slot], 21)[0]
    assert torch.equal(torch.cat((start, rest)), alone(4))


def test_making_a_frame_never_reads_a_value_back_to_the_host() -> None:
    seen: set[str] = set()

    class AccessLogMiddleware(TorchDispatchMode):
        def __torch_dispatch__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            seen.add(func.overloadpacket.__name__)
            return func(*args, **(kwargs or {}))

    batch = small().batch(2, 192)
    WISHES[0].open(batch)
    WISHES[3].open(batch)
    with AccessLogMiddleware():
        # Outside of inference mode, which would show the watch operators before they are taken
        # apart.
        inspect.unwrap(decode_frame)(batch._talker, batch._state, 2, 128)
        assert "mm" in seen
        assert not seen & HOST_READS
        int(batch._state.frame[0])
    assert seen & HOST_READS  # the watch would have seen one


def test_making_a_frame_keeps_every_tensor_of_the_state_in_place() -> None:
    batch = small().batch(2, 192)
    WISHES[0].open(batch)
    state = batch._state
    owners = (
        state, state.cache, state.frame_cache, state.sampler, state.sampler.talker,
        state.sampler.predictor,
    )  # fmt: skip
    tensors = [
        (o, name, t.data_ptr())
        for o in owners
        for name, t in vars(o).items()
        if isinstance(t, torch.Tensor)
    ]
    batch.step()
    assert all(getattr(o, name).data_ptr() == address for o, name, address in tensors)


def test_attention_reaches_as_far_as_the_longest_stream_and_no_stream_outgrows_its_slot() -> None:
    checkpoint = small()
    prompt, trailing = checkpoint.prompt(PromptRequest("word " * 12, speaker="ryan"))
    batch = checkpoint.batch(1, len(prompt) + 4)
    slot = batch.open(prompt, trailing, WISHES[0].sampling)
    assert batch.room(slot) == 5
    tight = spoken(batch, [slot], 5)[0]
    assert batch.room(slot) == 0
    with pytest.raises(AssertionError):
        batch.step()
    roomy = checkpoint.batch(1, 256)
    assert torch.equal(
        tight, spoken(roomy, [roomy.open(prompt, trailing, WISHES[0].sampling)], 5)[0]
    )


def test_full_batch_is_overloaded_and_a_prompt_without_room_is_refused() -> None:
    checkpoint = small()
    batch = checkpoint.batch(1, 64)
    with pytest.raises(BadRequest, match="less text"):
        batch.open(
            *checkpoint.prompt(PromptRequest("many words " * 20, speaker="ryan")),
            WISHES[0].sampling,
        )
    WISHES[0].open(batch)
    with pytest.raises(Overloaded):
        WISHES[0].open(batch)
    with pytest.raises(BadRequest, match="64"):
        batch.feed(0, torch.zeros(65, 32))


def test_bfloat16_frames_stay_close_to_float32_ones(tmp_path: Path) -> None:
    make_checkpoint(tmp_path, "custom_voice", SMALL, seed=5)
    half, single = load_checkpoint(tmp_path, CPU, torch.bfloat16), small()
    frames = []
    for checkpoint in (half, single):
        batch = checkpoint.batch(2, 192)
        for text in ("Hello there.", "Good morning, and more."):
            batch.open(*checkpoint.prompt(PromptRequest(text, speaker="ryan")), WISHES[1].sampling)
        frames.append(batch.step())
    assert frames[0].logits.dtype == torch.bfloat16
    assert frames[0].codes.dtype == torch.int64
    chances = [frame.logits.float().log_softmax(-1) for frame in frames]
    divergence = (chances[1].exp() * (chances[1] - chances[0])).sum(-1)
    assert float(divergence.max()) < 1e-3
