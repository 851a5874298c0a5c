"""vivavoce: text in, speech out, through the APIs your clients already use."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("vivavoce")
except (
    PackageNotFoundError
):  # a folder of sources that is not installed, as benchmarks/gpu.py may be run from
    __version__ = "0+source"

__all__ = ["__version__"]
