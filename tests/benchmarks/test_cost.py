"""Test the measurement of what a second of audio costs, on a real server."""

import pytest
from benchmarks.cost import cost
from benchmarks.process import started
from benchmarks.scenarios import SCENARIOS


@pytest.mark.parametrize(
    ("name", "processes"),
    [("tone-cost", ["server's"]), ("tone-cost-isolated", ["server's", "model's"])],
)
async def test_every_process_has_its_cost(name: str, processes: list[str]) -> None:
    environment = SCENARIOS[name].environment
    async with started(["tone"], environment=environment, memory_gib=6.0) as server:
        measures = await cost(server, "Hello.", ("pcm",), duration_s=1.0, tell=lambda share: None)
    costs = {measure.name: measure.value for measure in measures if "process" in measure.name}
    assert list(costs) == [f"pcm: {process} process" for process in processes]
    assert all(0.0 < value < 1_000 for value in costs.values())
