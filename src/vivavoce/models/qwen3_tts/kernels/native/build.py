"""Compile the C code for this processor, once, and load it.

It needs a C compiler and torch's own threads (GNU OpenMP), as on Linux. The result is kept in the
user's cache folder. Nothing here knows what the code computes.
"""

import ctypes
import hashlib
import logging
import os
import platform
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import platformdirs

log = logging.getLogger(__name__)

SOURCES = tuple(Path(__file__).with_name(name) for name in ("decode.c", "draw.c"))
FLAGS = ("-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-shared", "-fPIC")
COMPILE_S = 120
OFF = "VIVAVOCE_NATIVE"  # 0 in the environment: plain torch, to compare


@cache
def compiled() -> ctypes.CDLL | None:
    """Return the loaded code, or None where it cannot be compiled or loaded."""
    if sys.platform != "linux" or os.environ.get(OFF) == "0":
        return None
    compiler = find_compiler()
    if compiler is None:
        log.info("no C compiler here: Qwen3-TTS runs by torch alone, slower on a CPU")
        return None
    try:
        return _loaded(compiler, platformdirs.user_cache_path("vivavoce", appauthor=False))
    except (OSError, subprocess.SubprocessError, AttributeError) as error:
        log.info("the C code cannot be used here (%s): Qwen3-TTS runs by torch alone", error)
        return None


def find_compiler() -> str | None:
    """Return the path of a C compiler, or None."""
    found = map(shutil.which, (os.environ.get("CC", "cc"), "gcc", "clang"))
    return next(filter(None, found), None)


def _loaded(compiler: str, folder: Path) -> ctypes.CDLL:
    """Load the code from `folder`, compiled before or now.

    A folder that cannot be written is replaced by a temporary one.
    """
    kept = folder / f"native-{_key(compiler)}.so"
    if kept.exists():
        return _checked(kept)
    with TemporaryDirectory() as scratch:
        made = Path(scratch) / "native.so"
        command = [compiler, *FLAGS, *map(str, SOURCES), "-o", str(made), "-lm"]
        subprocess.run(command, check=True, capture_output=True, timeout=COMPILE_S)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            beside = kept.with_suffix(f".{os.getpid()}")
            shutil.copyfile(made, beside)
            beside.replace(kept)  # whole for a process that looks at the same time
        except OSError:
            return _checked(made)  # its file may go once it is loaded
    return _checked(kept)


def _checked(path: Path) -> ctypes.CDLL:
    # torch has loaded the threads that the code calls by name.
    loaded = ctypes.CDLL(str(path))
    loaded.scratch_size.restype = ctypes.c_int64
    return loaded


def _key(compiler: str) -> str:
    """Return a name for the code as this compiler makes it on this processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        lines = [platform.processor()]
    told = sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))})
    parts = (*(source.read_text("utf-8") for source in SOURCES), compiler, *FLAGS, *told)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
