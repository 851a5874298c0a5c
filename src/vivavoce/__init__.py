"""Turn text into speech, through the APIs that clients already use."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("vivavoce")
except PackageNotFoundError:  # sources that are not installed, as for benchmarks/gpu.py
    __version__ = "0+source"

__all__ = ["__version__"]
