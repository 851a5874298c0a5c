"""Check that work in other processes gives what it gives here, and that none of them is left."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from vivavoce.books.processes import NICENESS, Orphaned, Processes
from vivavoce.errors import BadRequest, EngineFault

PARENT = """
import sys, time, os
from vivavoce.books.processes import Processes
processes = Processes(1)
print(processes.submit(os.getpid).result(), flush=True)
time.sleep(60)
"""


def fail() -> None:
    raise BadRequest("no such thing", field="text")


def test_results_and_errors_come_back() -> None:
    with Processes(2) as processes:
        asked = [processes.submit(divmod, number, 7) for number in range(20)]
        assert [each.result() for each in asked] == [divmod(number, 7) for number in range(20)]
        with pytest.raises(BadRequest, match="no such thing") as refusal:
            processes.submit(fail).result()
        assert refusal.value.field == "text"
        ids = {processes.submit(os.getpid).result() for _ in range(5)}
        assert os.getpid() not in ids
        assert not processes.submit(Orphaned()).result()
        assert processes.submit(print, "not an answer").result() is None


@pytest.mark.skipif(sys.platform != "linux", reason="the priority is lowered on Linux")
def test_they_give_way() -> None:
    with Processes(1) as processes:
        niceness = processes.submit(os.getpriority, os.PRIO_PROCESS, 0).result()
    assert niceness == min(os.getpriority(os.PRIO_PROCESS, 0) + NICENESS, 19)


def test_killed_ones_say_so_and_others_go_on() -> None:
    with Processes(1) as processes:
        with pytest.raises(EngineFault, match="retry"):
            processes.submit(os.kill, processes.submit(os.getpid).result(), 9).result()
        assert processes.submit(abs, -1).result() == 1  # another one was started
        waiting = processes.submit(time.sleep, 60)
        processes.submit(time.sleep, 60)
        while not waiting.running():
            time.sleep(0.01)
        processes.kill()
        with pytest.raises(EngineFault):
            waiting.result(timeout=10)


@pytest.mark.skipif(not Path("/proc").exists(), reason="it looks for the process in /proc")
def test_they_end_with_a_parent_that_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.kill()
    deadline_s = time.monotonic() + 10
    while Path(f"/proc/{child}").exists():
        assert time.monotonic() < deadline_s, "the process outlives the one that started it"
        time.sleep(0.05)
