"""Check that work in other processes gives what it gives here, and that none of them is left."""

import os
import signal
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
processes.submit(time.sleep, 0.5)
time.sleep(60)
"""


SQUARED = """
import sys
from vivavoce.books.processes import Processes
with Processes(1) as processes:
    sys.exit(processes.submit(pow, 7, 2).result())
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


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals")
def test_they_survive_the_signals_that_stop_a_service() -> None:
    with Processes(1) as processes:
        started = processes.submit(os.getpid)
        while not processes._started:
            time.sleep(0.001)
        for each in (signal.SIGTERM, signal.SIGINT):  # before it runs Python at all
            processes._started[0].send_signal(each)
        child = started.result()
        for each in (signal.SIGTERM, signal.SIGINT):
            os.kill(child, each)
        assert processes.submit(os.getpid).result() == child
    assert signal.SIGTERM not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_they_find_modules_where_the_parent_does(tmp_path: Path) -> None:
    (tmp_path / "pickle.py").write_text("raise SystemExit('not this one')")
    parent = tmp_path / "bin" / "parent.py"
    parent.parent.mkdir()
    parent.write_text(SQUARED)
    assert subprocess.run([sys.executable, parent], cwd=tmp_path).returncode == 49


@pytest.mark.skipif(sys.platform == "win32", reason="it closes descriptors in a shell")
@pytest.mark.parametrize("closed", ["2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_they_need_no_standard_files(closed: str, tmp_path: Path) -> None:
    parent = tmp_path / "parent.py"
    parent.write_text(SQUARED)
    assert subprocess.run(f"'{sys.executable}' '{parent}' {closed}", shell=True).returncode == 49


@pytest.mark.parametrize("python", ["", None, "/no/such/python"])
def test_python_that_cannot_be_started_is_named(
    python: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", python)
    with Processes(1) as processes, pytest.raises(EngineFault, match=f"cannot start {python!r}"):
        processes.submit(abs, -1).result()


@pytest.mark.skipif(not Path("/proc").exists(), reason="it looks for the process in /proc")
def test_they_end_with_a_parent_that_is_killed() -> None:
    command = [sys.executable, "-c", PARENT]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stderr is not None
        child = int(parent.stdout.readline())
        parent.kill()
        assert parent.stderr.read() == b""  # no traceback of the other one, which has it too
    deadline_s = time.monotonic() + 10
    while Path(f"/proc/{child}").exists():
        assert time.monotonic() < deadline_s, "the process outlives the one that started it"
        time.sleep(0.05)
