"""The trials of `benchmarks/soak.py`, short: a real server process survives, and loses, cuts and
keeps nothing.

What is a matter of speed is left to the long runs.
"""

from importlib.util import find_spec

import pytest
from benchmarks.endurance import TRIALS, survive

SCALE = 0.001  # every trial has a least length of its own
OTHERS = {"slow-readers", "abuse-none"}  # measure speed alone
if find_spec("torch") is None:
    OTHERS.add("abuse-instructions-qwen")


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in TRIALS if name not in OTHERS])
async def test_server_survives(name: str) -> None:
    result = await survive(name, SCALE, lambda _: None)
    counts = [
        measure for measure in result.measures if measure.target is not None and not measure.unit
    ]
    timed = {"underruns", "answered after more than 1 s"}
    missed = [
        (one.name, one.value) for one in counts if one.verdict == "missed" and one.name not in timed
    ]
    assert counts
    assert not missed
