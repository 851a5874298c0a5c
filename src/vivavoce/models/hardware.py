"""Name the processor and count the CPU cores that this process may use."""

import os
import platform
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")
CPU_INFO = Path("/proc/cpuinfo")


def processor_name(cpu_info: Path = CPU_INFO) -> str:
    """Return the name of the processor, or of its architecture where the system has no other.

    Family and model of an x86 processor are added, since virtual machines shorten its name.
    """
    try:
        lines = cpu_info.read_text("utf-8").split("\n\n")[0].splitlines()
    except (OSError, ValueError):  # not Linux
        lines = []
    told = {
        name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }
    name = told.get("model name") or platform.processor() or platform.machine()
    if "cpu family" in told:
        return f"{name} (family {told['cpu family']}, model {told.get('model', 'unknown')})"
    return name


def available_cores() -> int:
    """Return the cores that this process may use: fewer in some containers, at least 1."""
    on_linux = hasattr(os, "sched_getaffinity")
    allowed = len(os.sched_getaffinity(0)) if on_linux else os.cpu_count() or 1
    quota = cpu_quota()
    return allowed if quota is None else max(1, min(allowed, int(quota)))


def cpu_quota(cgroup: Path = CGROUP) -> float | None:
    """Return the container's CPU limit in cores (cgroups version 2, then 1), or None."""
    for parts in (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):
        try:
            quota, period = " ".join((cgroup / part).read_text("ascii") for part in parts).split()
            if quota != "max" and int(quota) > 0:
                return int(quota) / int(period)
        except (OSError, ValueError):  # another version of cgroups, or not Linux
            continue
    return None
