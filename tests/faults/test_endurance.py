"""Run the trials of `benchmarks/soak.py` at their least length against a real server process.

- No request is lost or cut, and nothing is left over.
- Figures of speed are not judged here: the long runs do that.
- Of the abuse trials, only the short ones in `SHORT_ABUSE` run. `make soak` runs the others, and
  `test_crowds` has silent connections.
"""

import pytest
from benchmarks.endurance import TRIALS, survive

SCALE = 0.001  # every trial has a least length of its own
SHORT_ABUSE = {"abuse-chunks", "abuse-numbers", "abuse-names"}  # 18 to 32 s each
NAMES = [
    name
    for name in TRIALS
    if name in SHORT_ABUSE or not name.startswith(("abuse-", "slow-readers"))
]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
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
