"""Read every setting once, from the command line, the environment and a TOML file."""

from vivavoce.settings.schema import Settings

__all__ = ["Settings"]
