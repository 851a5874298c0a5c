"""Turn text into speech, through the APIs that clients already use."""

from importlib.metadata import version

__version__ = version("vivavoce")

__all__ = ["__version__"]
