"""Prompt prefixes are read once, then copied, with the same results."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scripts.make_checkpoint import make_checkpoint
from torch import Tensor

from tests.models.qwen3_tts.small import CPU, SMALL, WISHES, alone, small, spoken
from vivavoce.models.qwen3_tts.checkpoint.folder import Checkpoint, load_checkpoint
from vivavoce.models.qwen3_tts.network.sampler import Sampling
from vivavoce.models.qwen3_tts.prompt.layout import Clone, PromptRequest, lay_out, shared_prefix
from vivavoce.models.qwen3_tts.prompt.prefix_cache import Prefix, PrefixCache
from vivavoce.models.qwen3_tts.runtime.batch import Batch

VECTOR = torch.linspace(-1, 1, SMALL.talker.hidden)
CODES = torch.arange(6 * SMALL.codebooks).reshape(6, SMALL.codebooks) % SMALL.codes
TEXTS = ("Hello there.", "Good morning, and more of it.")
VOICES: dict[str, tuple[str, PromptRequest]] = {
    "speaker": ("custom_voice", PromptRequest("", "english", "ryan")),
    "speaker, any language": ("custom_voice", PromptRequest("", speaker="eric")),
    "speaker with instruct": (
        "custom_voice",
        PromptRequest("", "english", "ryan", "Whisper, and slowly."),
    ),
    "design": ("voice_design", PromptRequest("", "german", instruct="An old sailor.")),
    "x-vector": ("base", PromptRequest("", "english", clone=Clone(VECTOR))),
    "clone": ("base", PromptRequest("", "english", clone=Clone(VECTOR, CODES, "What was said."))),
    "clone of few words": ("base", PromptRequest("", "english", clone=Clone(VECTOR, CODES, "a"))),
    "clone of many words": (
        "base",
        PromptRequest("", "english", clone=Clone(VECTOR, CODES[:2], "many words here")),
    ),
}
SAMPLING = Sampling(seed=3)


@cache
def checkpoint(task: str) -> Checkpoint:
    with TemporaryDirectory() as folder:
        path = make_checkpoint(Path(folder), task, replace(SMALL, size="1b7"), seed=5)
        return load_checkpoint(path, CPU, torch.float32)


def request(voice: str, text: str, stream_text: bool) -> tuple[Checkpoint, PromptRequest]:
    task, wanted = VOICES[voice]
    return checkpoint(task), replace(wanted, text=text, stream_text=stream_text)


def made(batch: Batch, voice: str, text: str, stream_text: bool, *, shared: bool) -> Tensor:
    """Return twelve frames of codes, with the shared prefix read by itself or not."""
    loaded, wanted = request(voice, text, stream_text)
    prompt, trailing, prefix = loaded.shared_prompt(wanted)
    slot = batch.open(prompt, trailing, SAMPLING, prefix if shared else None)
    codes = spoken(batch, [slot], 12)[0]
    batch.close(slot)
    return codes


@pytest.mark.parametrize("stream_text", [False, True])
@pytest.mark.parametrize("voice", VOICES)
def test_beginning_that_was_copied_gives_the_codes_of_one_that_was_read(
    voice: str, stream_text: bool
) -> None:
    batch = request(voice, "", stream_text)[0].batch(2, 192)
    batch.shortest_prefix = 1
    for text in TEXTS:
        whole, first, again = (
            made(batch, voice, text, stream_text, shared=shared) for shared in (False, True, True)
        )
        assert torch.equal(first, whole)
        assert torch.equal(again, whole)
    assert len(batch.prefixes) == 1  # both texts begin alike


@pytest.mark.parametrize("stream_text", [False, True])
@pytest.mark.parametrize("voice", VOICES)
def test_beginning_is_all_that_comes_before_the_text_and_nothing_of_it(
    voice: str, stream_text: bool
) -> None:
    layouts = []
    for text in ("one", "two"):
        loaded, wanted = request(voice, text, stream_text)
        layouts.append(lay_out(wanted, loaded.config, loaded.tokenizer))
    one, two = layouts
    assert one.shared == two.shared > 3
    assert one.positions[: one.shared] == two.positions[: two.shared]
    assert [text for text, _ in one.positions[one.shared :]] + [*one.trailing] != [
        text for text, _ in two.positions[two.shared :]
    ] + [*two.trailing]
    if "clone" not in voice:
        assert one.positions[one.shared] != two.positions[two.shared]


def test_beginnings_of_different_voices_are_never_taken_for_each_other() -> None:
    keys = set()
    clones = [clone for _, wanted in VOICES.values() if (clone := wanted.clone)]
    clones += [Clone(VECTOR + 1), Clone(VECTOR, CODES + 1, "What was said.")]
    wishes = [(task, wanted) for task, wanted in VOICES.values() if wanted.clone is None]
    wishes += [("base", PromptRequest("", "english", clone=clone)) for clone in clones]
    wishes += [("base", PromptRequest("", "german", clone=clones[0]))]
    for task, wanted in wishes:
        loaded = checkpoint(task)
        keys.add(
            shared_prefix(
                lay_out(replace(wanted, text="Hi."), loaded.config, loaded.tokenizer), wanted.clone
            )
        )
    assert len(keys) == len(wishes)
    same = Clone(
        VECTOR.clone(), CODES.clone(), "What was said."
    )  # another recording's object, the same voice
    loaded = checkpoint("base")
    again = PromptRequest("Hi.", "english", clone=same)
    assert shared_prefix(lay_out(again, loaded.config, loaded.tokenizer), same) in keys


def test_copied_beginning_disturbs_nobody_beside_it() -> None:
    batch = small().batch(3, 192)
    batch.shortest_prefix = 1
    beside = WISHES[1].open(batch)
    start = spoken(batch, [beside], 4)[0]
    prompt, trailing, prefix = small().shared_prompt(WISHES[0].request)
    slots = [batch.open(prompt, trailing, WISHES[0].sampling, prefix) for _ in range(2)]
    neighbour, *copies = spoken(batch, [beside, *slots], 12)
    assert torch.equal(torch.cat((start, neighbour)), alone(1)[:16])
    assert all(torch.equal(codes, alone(0)[:12]) for codes in copies)


def test_short_beginning_is_read_with_the_rest() -> None:
    batch = small().batch(1, 192)
    prompt, trailing, prefix = small().shared_prompt(WISHES[0].request)
    for shortest, kept in ((prefix.length + 1, 0), (prefix.length, 1)):
        batch.shortest_prefix = shortest
        batch.close(batch.open(prompt, trailing, WISHES[0].sampling, prefix))
        assert len(batch.prefixes) == kept


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 12)), max_size=40))
def test_memory_is_bounded_and_what_is_there_is_what_was_put(calls: list[tuple[int, int]]) -> None:
    kept, most = PrefixCache(40), 40
    last: dict[Prefix, Tensor] = {}
    for number, size in calls:
        prefix, past = Prefix(size, number), torch.full((size,), float(number))
        if (found := kept.get(prefix)) is not None:
            assert torch.equal(found, last[prefix])
            continue
        kept.put(prefix, past)
        last[prefix] = past
        assert (kept.get(prefix) is not None) == (past.nbytes <= most)
        assert 0 <= kept.bytes <= most


def test_what_was_asked_for_longest_goes_first() -> None:
    kept = PrefixCache(8)
    one, two, three = (Prefix(1, name) for name in "abc")
    kept.put(one, torch.zeros(1))
    kept.put(two, torch.zeros(1))
    kept.get(one)
    kept.put(three, torch.zeros(1))
    assert kept.get(two) is None
    assert kept.get(one) is not None
    assert kept.get(three) is not None


def test_what_is_kept_is_a_copy() -> None:
    kept, past = PrefixCache(8), torch.ones(1)
    kept.put(Prefix(1, "a"), past)
    past.zero_()
    found = kept.get(Prefix(1, "a"))
    assert found is not None
    assert found.item() == 1
