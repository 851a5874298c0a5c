"""Draw codes from logits, each row with its own settings and its own random numbers.

A row's draw depends only on its logits, its settings and the counter (seed, frame, codebook,
token). It does not depend on its neighbours, on the order of calls or on a generator's state. It
knows nothing of the slots' streams or of the meaning of codes.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from vivavoce.errors import BadRequest
from vivavoce.models.qwen3_tts import kernels
from vivavoce.models.qwen3_tts.checkpoint.config import Config, SamplingDefaults


@dataclass(frozen=True, slots=True)
class Sampling:
    """Sampling settings of one request."""

    talker: SamplingDefaults = field(default_factory=SamplingDefaults)
    predictor: SamplingDefaults = field(default_factory=SamplingDefaults)
    repetition_penalty: float = 1.05
    seed: int = 0
    min_frames: int = 2  # frames before the end of speech may come

    def __post_init__(self) -> None:
        for name, settings in (("", self.talker), ("subtalker_", self.predictor)):
            _require(
                settings.temperature > 0, f"{name}temperature", settings.temperature, "above 0"
            )
            _require(settings.top_k >= 0, f"{name}top_k", settings.top_k, "at least 0")
            _require(
                0 < settings.top_p <= 1, f"{name}top_p", settings.top_p, "above 0 and at most 1"
            )
        _require(
            self.repetition_penalty > 0, "repetition_penalty", self.repetition_penalty, "above 0"
        )
        _require(-(1 << 63) <= self.seed < 1 << 63, "seed", self.seed, "a 64-bit number")


def _require(holds: bool, field: str, value: float, expected: str) -> None:
    if not holds:
        raise BadRequest(f"{field} is {value!r}, must be {expected}", field=field)


RANKS = (64, 256)  # numbers of best scores that are sorted; few, so that few shapes occur


class SamplingTensors:
    """One `SamplingDefaults` a slot, as tensors [slots].

    The host keeps the combined needs of all slots, so that work that no row needs is skipped. With
    `fixed` all work is always done: a captured graph serves any later settings.
    """

    def __init__(self, slots: int, device: torch.device, *, fixed: bool = False) -> None:
        self._fixed = fixed
        self.temperature = torch.ones(slots, device=device)
        self.top_k = torch.zeros(slots, device=device, dtype=torch.int64)
        self.top_p = torch.ones(slots, device=device)
        self.greedy = torch.ones(slots, device=device, dtype=torch.bool)
        self._settings = [SamplingDefaults(top_k=0, greedy=True)] * slots

    @property
    def draws(self) -> bool:
        """True if some slot is not greedy."""
        return self._fixed or not all(settings.greedy for settings in self._settings)

    @property
    def limits_mass(self) -> bool:
        """True if some slot has a top-p."""
        return self._fixed or any(settings.top_p < 1 for settings in self._settings)

    def ranks(self, size: int) -> int:
        """Return the number of best scores, out of `size`, that must be sorted.

        It is 0 if no slot limits its draws, and `size` for a top-p alone.
        """
        if self._fixed:
            return size
        needed = (
            settings.top_k or (size if settings.top_p < 1 else 0)
            for settings in self._settings
            if not settings.greedy
        )
        most = max(needed, default=0)
        return next((ranks for ranks in (0, *RANKS) if most <= ranks <= size), size)

    def set(self, slot: int, settings: SamplingDefaults) -> None:
        self.temperature[slot] = settings.temperature
        self.top_k[slot] = settings.top_k
        self.top_p[slot] = settings.top_p
        self.greedy[slot] = settings.greedy
        self._settings[slot] = settings


class Sampler:
    """Sampling settings of every slot, and the first codes that each has drawn so far."""

    def __init__(
        self, config: Config, slots: int, device: torch.device, *, fixed: bool = False
    ) -> None:
        self.talker, self.predictor = (
            SamplingTensors(slots, device, fixed=fixed) for _ in range(2)
        )
        self.penalty = torch.ones(slots, device=device)
        self.seed = torch.zeros(slots, device=device, dtype=torch.int64)
        self.min_frames = torch.zeros(slots, device=device, dtype=torch.int64)
        self.seen = torch.zeros(slots, config.codec_vocab_size, device=device, dtype=torch.bool)
        self.eos = config.codec_ids.eos
        self.suppressed_tokens = torch.zeros(
            config.codec_vocab_size, device=device, dtype=torch.bool
        )
        self.suppressed_tokens[list(config.suppressed_tokens)] = True
        self._codebooks = torch.arange(1, config.codebooks, device=device)[:, None]
        self._entries = config.code_vocab_size

    def set(self, slot: int, sampling: Sampling) -> None:
        """Set the sampling of the new stream in `slot`, which has drawn nothing yet."""
        self.talker.set(slot, sampling.talker)
        self.predictor.set(slot, sampling.predictor)
        self.penalty[slot] = sampling.repetition_penalty
        self.seed[slot] = sampling.seed
        self.min_frames[slot] = sampling.min_frames
        self.seen[slot] = False

    def sample_first(self, logits: Tensor, frame: Tensor) -> Tensor:
        """Draw first codes [rows] from the talker's `logits` [rows, vocabulary].

        `frame` [rows] is the number of each row's frame.
        """
        return kernels.first_codes(logits, self, frame)

    def sample_first_plain(self, logits: Tensor, frame: Tensor) -> Tensor:
        """Do the same as `sample_first` in plain torch."""
        scores = self.first_scores(logits, frame)
        return draw(scores, self.talker, counter(self.seed[: len(logits)], frame, 0))

    def first_scores(self, logits: Tensor, frame: Tensor) -> Tensor:
        """Return the scores that first codes are drawn from, see `sample_first`."""
        rows = len(logits)
        scores = penalise(logits.float(), self.seen[:rows], self.penalty[:rows])
        scores = scores.masked_fill(self.suppressed_tokens, -torch.inf)
        too_soon = frame < self.min_frames[:rows]
        scores[:, self.eos] = scores[:, self.eos].masked_fill(too_soon, -torch.inf)
        return scores

    def noise(self, frame: Tensor) -> Tensor | None:
        """Return the noise [codebooks - 1, rows, codebook entries] of `sample_rest`.

        `frame` [rows] is the number of each row's frame. The result is None if `sample_rest` adds
        nothing, or a kernel makes its own noise. The noise of all codebooks is made at
        once. One by one they would take fifteen times as many operators.
        """
        return None if kernels.make_noise(self.penalty) else self.noise_plain(frame)

    def noise_plain(self, frame: Tensor) -> Tensor | None:
        """Do the same as `noise` for draws without kernels."""
        if not self.predictor.draws:
            return None
        return gumbel(counter(self.seed[: len(frame)], frame, self._codebooks), self._entries)

    def sample_rest(
        self, logits: Tensor, frame: Tensor, codebook: int, noise: Tensor | None
    ) -> Tensor:
        """Draw codes [rows] of a later `codebook` from the predictor's `logits` [rows, entries].

        `noise` is that of all later codebooks in each row's `frame` [rows].
        """
        return kernels.later_codes(
            logits, self, frame, codebook, None if noise is None else noise[codebook - 1]
        )

    def sample_rest_plain(self, logits: Tensor, noise: Tensor | None) -> Tensor:
        """Do the same as `sample_rest` in plain torch.

        `noise` [rows, entries] is the codebook's.
        """
        return pick(logits.float(), self.predictor, noise)

    def mark_seen(self, codes: Tensor, alive: Tensor) -> None:
        """Record the first `codes` [rows] of the rows that are `alive` [rows]."""
        seen = self.seen[: len(codes)]
        seen.scatter_(1, codes[:, None], seen.gather(1, codes[:, None]) | alive[:, None])


def penalise(scores: Tensor, seen: Tensor, penalty: Tensor) -> Tensor:
    """Make seen tokens less likely by `penalty` [rows] (CTRL paper).

    `scores` and `seen` are [rows, vocabulary].
    """
    factor = penalty[:, None]
    return torch.where(seen, torch.where(scores > 0, scores / factor, scores * factor), scores)


def draw(scores: Tensor, settings: SamplingTensors, key: Tensor) -> Tensor:
    """Draw one token a row [rows] from `scores` [rows, vocabulary].

    `key` [rows] is the row's `counter`.
    """
    return pick(scores, settings, gumbel(key, scores.shape[1]) if settings.draws else None)


def pick(scores: Tensor, settings: SamplingTensors, noise: Tensor | None) -> Tensor:
    """Return one token a row [rows] from `scores` and `noise` [rows, vocabulary].

    `noise` is None if all rows take the best. By the Gumbel-max trick, the best of score plus noise
    is a draw from the softmax, without a running sum.
    """
    if noise is None:
        return scores.argmax(-1)
    rows = len(scores)
    warm = scores / settings.temperature[:rows, None]
    if ranks := settings.ranks(scores.shape[1]):
        top_p = settings.top_p[:rows] if settings.limits_mass else None
        warm = warm.masked_fill(
            warm < threshold(warm, settings.top_k[:rows], top_p, ranks), -torch.inf
        )
    return torch.where(settings.greedy[:rows, None], scores, warm + noise).argmax(-1)


def threshold(scores: Tensor, top_k: Tensor, top_p: Tensor | None, ranks: int) -> Tensor:
    """Return the lowest score [rows, 1] that top-k, then top-p, keep in each row.

    Ties stay together. `ranks` is at least every top-k, and the whole vocabulary for a top-p
    without one. It changes no row's result: ranks beyond a row's own limit add zeros at the end of
    a sum that runs from the best on.
    """
    ranked = scores.topk(ranks, -1).values
    last = torch.where(top_k == 0, ranks, top_k.clamp(max=ranks)) - 1
    if top_p is not None:
        kept = torch.arange(ranks, device=scores.device) <= last[:, None]
        shares = (ranked - ranked[:, :1]).exp().masked_fill(~kept, 0)
        reached = shares.cumsum(-1)
        # `reached - shares` is the probability of everything better. The best is always kept. A
        # top_p of 1 must not lose a tail to rounding.
        kept &= (reached - shares < top_p[:, None] * reached[:, -1:]) | (top_p[:, None] >= 1)
        last = kept.sum(-1).clamp(min=1) - 1
        no_limit = (top_k == 0) & (top_p >= 1)
    else:
        no_limit = top_k == 0
    return ranked.gather(-1, last[:, None]).masked_fill(no_limit[:, None], -torch.inf)


def counter(seed: Tensor, frame: Tensor, codebook: int | Tensor) -> Tensor:
    """Return a 64-bit key for each row's draw of `codebook`.

    `frame` and `seed` are [rows]. The key is [rows] for one codebook, [codebooks, rows] for several
    ([codebooks, 1]).
    """
    place = codebook * _STRIDE if isinstance(codebook, Tensor) else _wrap(codebook * _STRIDE)
    return _mix(_mix(_mix(seed + _STRIDE) + frame * _STRIDE) + place)


def gumbel(key: Tensor, size: int) -> Tensor:
    """Return standard Gumbel noise [..., size], a function of `key` [...] alone."""
    return -torch.log(-torch.log(uniform(key, size)))


def uniform(key: Tensor, size: int) -> Tensor:
    """Return float32 numbers [..., size] strictly between 0 and 1.

    They are a function of `key` [...] alone.
    """
    tokens = torch.arange(size, device=key.device)
    # 23 bits: with the half added below, exact in float32.
    bits = _shift(_mix(key[..., None] + tokens * _STRIDE), 41)
    return (bits.float() + 0.5) * 2.0**-23


# SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014), in
# wrapping int64.
_STRIDE = 0x9E3779B97F4A7C15 - (1 << 64)  # as int64
_FACTORS = (0xBF58476D1CE4E5B9 - (1 << 64), 0x94D049BB133111EB - (1 << 64))


def _mix(x: Tensor) -> Tensor:
    x = (x ^ _shift(x, 30)) * _FACTORS[0]
    x = (x ^ _shift(x, 27)) * _FACTORS[1]
    return x ^ _shift(x, 31)


def _wrap(number: int) -> int:
    """Return `number` wrapped to int64."""
    return (number + (1 << 63)) % (1 << 64) - (1 << 63)


def _shift(x: Tensor, bits: int) -> Tensor:
    """Shift `x` to the right as an unsigned number."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)
