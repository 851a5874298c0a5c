"""How many CPU cores there are to work with."""

import os
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")


def available_cores() -> int:
    """Return the cores that this process may use, which in a container can be fewer than the machine has: at least 1."""
    allowed = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    quota = cpu_quota()
    return allowed if quota is None else max(1, min(allowed, int(quota)))


def cpu_quota(cgroup: Path = CGROUP) -> float | None:
    """Return the processor time that a container's limit leaves, in cores, or None without one (cgroups version 2, then 1)."""
    for parts in (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):
        try:
            quota, period = " ".join((cgroup / part).read_text("ascii") for part in parts).split()
            if quota != "max" and int(quota) > 0:
                return int(quota) / int(period)
        except (OSError, ValueError):  # another version, or no Linux
            continue
    return None
