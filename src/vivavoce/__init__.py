"""vivavoce: text in, speech out, through the APIs your clients already use."""

from importlib.metadata import version

__version__ = version("vivavoce")

__all__ = ["__version__"]
