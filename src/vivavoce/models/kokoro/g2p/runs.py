"""Break runs of characters without a space, for front ends whose time grows with their length."""

import re
from typing import Final

MAX_RUN_CHARS: Final = 40  # hibari's time grows with the third power of a run's length
# A run of more parts than this is broken too: each part of a-b-c costs as much as a long word.
MAX_RUN_PARTS: Final = 8
_REJOINED = frozenset(",.;:!?")  # hibari takes the spaces before these away
_SPACE_TAKEN = re.compile(r"(?<!\s)\s++(?=[,.;:!?])")
_LONG_RUN = re.compile(rf"\S{{{MAX_RUN_CHARS + 1},}}+")
_MANY_PARTS = re.compile(rf"(?:\w{{1,{MAX_RUN_CHARS}}}+[^\w\s,.;:!?]){{{MAX_RUN_PARTS}}}(?=\w)")


def break_runs(text: str) -> str:
    """Return `text` with spaces in its runs of more than `MAX_RUN_CHARS` or `MAX_RUN_PARTS`."""
    broken = _LONG_RUN.sub(lambda m: _broken(m[0]), _SPACE_TAKEN.sub("", text))
    return _MANY_PARTS.sub(r"\g<0> ", broken)


def _broken(run: str) -> str:
    """Return a run in parts of at most `MAX_RUN_CHARS`. A part ends at a mark if possible."""
    out = []
    while len(run) > MAX_RUN_CHARS:
        ends = [
            at for at in range(MAX_RUN_CHARS, MAX_RUN_CHARS // 2, -1) if run[at] not in _REJOINED
        ]
        end = next(
            (at for at in ends if not run[at - 1].isalnum()), ends[0] if ends else MAX_RUN_CHARS
        )
        out.append(run[:end])
        run = run[end:]
    return " ".join([*out, run])
