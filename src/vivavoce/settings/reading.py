"""Merge the sources of settings. Knows no single setting."""

from pathlib import Path
from typing import Any, Self

from pydantic import ValidationError
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource

from vivavoce.errors import SettingsError
from vivavoce.settings.sources import (
    ENV_PREFIX,
    check_environment,
    check_names,
    config_from_environment,
    explain,
    read_file,
)


class SettingsWithSources(BaseSettings):
    """Settings from arguments and defaults. `read` also reads the file and the environment."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Restrict `Settings(...)` to its arguments. `read` merges the other sources."""
        return (init_settings,)

    @classmethod
    def read(cls, config: Path | None = None, **overrides: object) -> Self:
        """Return the settings from `overrides`, the environment, the file and the defaults.

        An earlier source overrides a later one. `config` is a TOML file. Without it
        `VIVAVOCE_CONFIG` may name one. An override that is `None` counts as absent. Raises
        `SettingsError` for an unknown name, a wrong value or an unreadable file.
        """
        path = config or config_from_environment()
        file = read_file(path) if path else {}
        given = {name: value for name, value in overrides.items() if value is not None}
        check_names(file, cls.model_fields, where=f"{path}: ")
        check_environment(cls.model_fields)
        check_names(given, cls.model_fields, where="")
        environment = EnvSettingsSource(cls)()
        origin = dict.fromkeys(file, f"in {path}")
        origin |= {name: f"from {ENV_PREFIX}{name.upper()}" for name in environment}
        origin |= {name: f"from --{name.replace('_', '-')}" for name in given}
        # Any: the constructor checks the types.
        values: dict[str, Any] = {**file, **environment, **given}
        try:
            return cls(**values)
        except ValidationError as error:
            raise SettingsError(explain(error, origin)) from error
