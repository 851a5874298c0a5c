"""Codes from logits, each row with its own settings and its own random numbers.

A row's draw depends on its logits, its settings and the counter (seed, frame, codebook, token)
alone: never on its neighbours, on the order of calls or on a generator's state. It knows nothing of
slots' owners or of what codes mean.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from vivavoce.errors import BadRequest
from vivavoce.models.qwen3_tts import kernels
from vivavoce.models.qwen3_tts.checkpoint.config import Config, SamplingDefaults


@dataclass(frozen=True, slots=True)
class Sampling:
    """How one request wants its codes drawn."""

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


RANKS = (
    64,
    256,
)  # how many of the best scores are put in order; few numbers, so that few different shapes occur


class SamplingTensors:
    """One `SamplingDefaults` a slot, as tensors [slots].

    Beside them the host keeps what all slots need together, so that no work is done that no row
    asks for. With `fixed` all is done always: a captured graph serves whatever settings come later.
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
        """True if some slot does not just take the best."""
        return self._fixed or not all(settings.greedy for settings in self._settings)

    @property
    def limits_mass(self) -> bool:
        """True if some slot has a top-p."""
        return self._fixed or any(settings.top_p < 1 for settings in self._settings)

    def ranks(self, size: int) -> int:
        """How many of `size` scores must be put in order: 0 if no slot limits its draws, all for a top-p alone."""
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
    """The settings of every slot, and the first codes each has drawn so far."""

    def __init__(
        self, config: Config, slots: int, device: torch.device, *, fixed: bool = False
    ) -> None:
        self.talker, self.predictor = (
            SamplingTensors(slots, device, fixed=fixed) for _ in range(2)
        )
        self.penalty = torch.ones(slots, device=device)
        self.seed = torch.zeros(slots, device=device, dtype=torch.int64)
        self.min_frames = torch.zeros(slots, device=device, dtype=torch.int64)
        self.said = torch.zeros(slots, config.codec_vocab_size, device=device, dtype=torch.bool)
        self.eos = config.codec_ids.eos
        self.suppressed_tokens = torch.zeros(
            config.codec_vocab_size, device=device, dtype=torch.bool
        )
        self.suppressed_tokens[list(config.suppressed_tokens)] = True
        self._codebooks = torch.arange(1, config.codebooks, device=device)[:, None]
        self._entries = config.code_vocab_size

    def set(self, slot: int, sampling: Sampling) -> None:
        """Take the settings of the stream that now owns `slot`, which has said nothing yet."""
        self.talker.set(slot, sampling.talker)
        self.predictor.set(slot, sampling.predictor)
        self.penalty[slot] = sampling.repetition_penalty
        self.seed[slot] = sampling.seed
        self.min_frames[slot] = sampling.min_frames
        self.said[slot] = False

    def first(self, logits: Tensor, frame: Tensor) -> Tensor:
        """First codes [rows] from the talker's `logits` [rows, vocabulary] for each row's `frame` number [rows]."""
        return kernels.first_codes(logits, self, frame)

    def first_plain(self, logits: Tensor, frame: Tensor) -> Tensor:
        """As `first`, in plain torch."""
        rows = len(logits)
        scores = penalise(logits.float(), self.said[:rows], self.penalty[:rows])
        scores = scores.masked_fill(self.suppressed_tokens, -torch.inf)
        too_soon = frame < self.min_frames[:rows]
        scores[:, self.eos] = scores[:, self.eos].masked_fill(too_soon, -torch.inf)
        return draw(scores, self.talker, counter(self.seed[:rows], frame, 0))

    def noise(self, frame: Tensor) -> Tensor | None:
        """What `rest` adds in each row's `frame` [rows]: [codebooks - 1, rows, codebook entries],
        None if nothing.

        Made for all codebooks at once: one by one they would take fifteen times as many operators.
        A kernel makes its own.
        """
        return None if kernels.used_for(self.penalty) else self.noise_plain(frame)

    def noise_plain(self, frame: Tensor) -> Tensor | None:
        """As `noise`, for draws without kernels."""
        if not self.predictor.draws:
            return None
        return gumbel(counter(self.seed[: len(frame)], frame, self._codebooks), self._entries)

    def rest(self, logits: Tensor, frame: Tensor, codebook: int, noise: Tensor | None) -> Tensor:
        """Codes [rows] of a later `codebook` from the code predictor's `logits` [rows, entries].

        `noise` is that of all later codebooks in each row's `frame` [rows].
        """
        return kernels.later_codes(
            logits, self, frame, codebook, None if noise is None else noise[codebook - 1]
        )

    def rest_plain(self, logits: Tensor, noise: Tensor | None) -> Tensor:
        """As `rest`, in plain torch; `noise` [rows, entries] is the codebook's."""
        return pick(logits.float(), self.predictor, noise)

    def note(self, codes: Tensor, alive: Tensor) -> None:
        """Remembers the first `codes` [rows] of the rows that are `alive` [rows]."""
        said = self.said[: len(codes)]
        said.scatter_(1, codes[:, None], said.gather(1, codes[:, None]) | alive[:, None])


def penalise(scores: Tensor, said: Tensor, penalty: Tensor) -> Tensor:
    """`scores` [rows, vocabulary] with what was `said` made less likely by `penalty` [rows] (the CTRL paper's way)."""
    factor = penalty[:, None]
    return torch.where(said, torch.where(scores > 0, scores / factor, scores * factor), scores)


def draw(scores: Tensor, knobs: SamplingTensors, key: Tensor) -> Tensor:
    """Return one token a row [rows] from `scores` [rows, vocabulary]; `key` [rows] is the row's `counter`."""
    return pick(scores, knobs, gumbel(key, scores.shape[1]) if knobs.draws else None)


def pick(scores: Tensor, knobs: SamplingTensors, noise: Tensor | None) -> Tensor:
    """Return one token a row [rows] from `scores` and `noise` [rows, vocabulary], which is None if
    all take the best.

    The Gumbel-max trick: the best of score plus noise is a draw from the softmax, and costs no
    running sum.
    """
    if noise is None:
        return scores.argmax(-1)
    rows = len(scores)
    warm = scores / knobs.temperature[:rows, None]
    if ranks := knobs.ranks(scores.shape[1]):
        top_p = knobs.top_p[:rows] if knobs.limits_mass else None
        warm = warm.masked_fill(
            warm < threshold(warm, knobs.top_k[:rows], top_p, ranks), -torch.inf
        )
    return torch.where(knobs.greedy[:rows, None], scores, warm + noise).argmax(-1)


def threshold(scores: Tensor, top_k: Tensor, top_p: Tensor | None, ranks: int) -> Tensor:
    """Return the lowest score [rows, 1] that top-k, then top-p, leave in: each row its own, ties
    stay together.

    `ranks` is no less than any top-k, and all of the vocabulary for a top-p without one. It changes
    no row's result: what lies beyond a row's own limit adds zeros at the end of a sum that runs
    from the best on.
    """
    ranked = scores.topk(ranks, -1).values
    last = torch.where(top_k == 0, ranks, top_k.clamp(max=ranks)) - 1
    if top_p is not None:
        kept = torch.arange(ranks, device=scores.device) <= last[:, None]
        shares = (ranked - ranked[:, :1]).exp().masked_fill(~kept, 0)
        reached = shares.cumsum(-1)
        # Probability of everything better. The best is always kept; a top_p of 1 must not lose a
        # tail to rounding.
        kept &= (reached - shares < top_p[:, None] * reached[:, -1:]) | (top_p[:, None] >= 1)
        last = kept.sum(-1).clamp(min=1) - 1
        no_limit = (top_k == 0) & (top_p >= 1)
    else:
        no_limit = top_k == 0
    return ranked.gather(-1, last[:, None]).masked_fill(no_limit[:, None], -torch.inf)


def counter(seed: Tensor, frame: Tensor, codebook: int | Tensor) -> Tensor:
    """A 64-bit key for the draw of `codebook` in `frame` [rows] of the stream with `seed` [rows].

    [rows] for one codebook, [codebooks, rows] for several: [codebooks, 1].
    """
    place = codebook * _STRIDE if isinstance(codebook, Tensor) else _wrap(codebook * _STRIDE)
    return _mix(_mix(_mix(seed + _STRIDE) + frame * _STRIDE) + place)


def gumbel(key: Tensor, size: int) -> Tensor:
    """Noise [..., size] of the standard Gumbel distribution, a function of `key` [...] alone."""
    return -torch.log(-torch.log(uniform(key, size)))


def uniform(key: Tensor, size: int) -> Tensor:
    """Numbers [..., size] strictly between 0 and 1, in float32, a function of `key` [...] alone."""
    tokens = torch.arange(size, device=key.device)
    bits = _shift(
        _mix(key[..., None] + tokens * _STRIDE), 41
    )  # 23 bits: with the half below, exact in float32
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
    """Return `number` as int64 arithmetic has it."""
    return (number + (1 << 63)) % (1 << 64) - (1 << 63)


def _shift(x: Tensor, bits: int) -> Tensor:
    """`x` shifted to the right as an unsigned number."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)
