"""Read a formula that mixes voices, like `af_bella(2)+af_sky(1)`.

It knows no models: the names are checked by who mixes.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from vivavoce.errors import BadRequest

MAX_CHARS: Final = 1_000
MAX_TERMS: Final = 16
MAX_SHARE: Final = 4.0  # of one voice in the mix. Beyond, styles mean nothing
DIGITS: Final = 9  # of a share, more than float32 has
_SIGNS: Final = frozenset("()+")
_TERM: Final = re.compile(
    r"\s*+(?P<sign>[+-]?)\s*+(?P<name>[A-Za-z0-9_.]{1,64}+)\s*+"
    r"(?:\(\s*+(?P<weight>[0-9]{1,9}(?:\.[0-9]{0,9})?|\.[0-9]{1,9})\s*+\))?\s*+"
)


@dataclass(frozen=True, slots=True)
class Formula:
    """Shares of voices, whose sum is 1, in order of name. Its text reads as the same formula."""

    shares: tuple[tuple[str, float], ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The voices, that with the largest share first."""
        ordered = sorted(self.shares, key=lambda term: -term[1])
        return tuple(name for name, _ in ordered)

    def __str__(self) -> str:
        terms = (
            f"{'-' if share < 0 else '+'}{name}({_decimal(abs(share))})"
            for name, share in self.shares
        )
        return "".join(terms).removeprefix("+")


def is_formula(speaker: str | None) -> bool:
    """True if `speaker` is written as a formula, and not as a name."""
    return speaker is not None and not _SIGNS.isdisjoint(speaker)


def parse_formula(text: str, named: Callable[[str], str] = str.lower) -> Formula:
    """Return the formula in `text`.

    A term is a name and its weight in parentheses, 1 without one, after `+` or `-`. `named` returns
    the own name of a voice, or raises. Raises `BadRequest` (`speaker`).
    """
    if len(text) > MAX_CHARS:
        raise _wrong(text, f"has {len(text):,} characters, the limit is {MAX_CHARS:,}")
    weights, at, terms = dict[str, float](), 0, 0
    while at < len(text):
        term = _TERM.match(text, at)
        if term is None or (terms and not term["sign"]):
            raise _wrong(text, f"cannot be read from {text[at : at + 20]!r} on")
        name, weight = named(term["name"]), float(term["weight"] or 1)
        if term["weight"] is not None and not weight:
            raise _wrong(text, f"gives {term['name']!r} no weight: leave it out")
        weights[name] = weights.get(name, 0.0) + (-weight if term["sign"] == "-" else weight)
        at, terms = term.end(), terms + 1
        if terms > MAX_TERMS:
            raise _wrong(text, f"has more than {MAX_TERMS} terms")
    return _shared(text, weights)


def _shared(text: str, weights: dict[str, float]) -> Formula:
    total = math.fsum(weights.values())
    if not weights or abs(total) < 1e-9:
        raise _wrong(text, "has weights whose sum is zero")
    shares = {name: round(weight / total, DIGITS) for name, weight in weights.items()}
    most = max(shares, key=lambda name: abs(shares[name]))
    if abs(shares[most]) > MAX_SHARE:
        raise _wrong(
            text,
            f"is {shares[most]:,.2f} times {most!r} once its weights add up to 1, and "
            f"{MAX_SHARE:g} times is the most: subtract less",
        )
    return Formula(tuple((name, shares[name]) for name in sorted(shares) if shares[name]))


def _decimal(share: float) -> str:
    return f"{share:.{DIGITS}f}".rstrip("0").rstrip(".")


def _wrong(text: str, problem: str) -> BadRequest:
    message = f"speaker {text[:80]!r} {problem}; write a mix like 'af_bella(2)+af_sky(1)'"
    return BadRequest(message, field="speaker")
