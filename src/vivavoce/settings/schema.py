"""Read the server's settings once, from defaults, a TOML file, the environment and the command
line.

Knows names, types, units and bounds; it does not know what the settings are for. Only `cli` and
`api.app` see a `Settings` object: everything below them takes plain values.
"""

from collections import Counter
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from vivavoce.errors import SettingsError
from vivavoce.settings.sources import (
    ENV_PREFIX,
    check_environment,
    check_names,
    config_from_environment,
    explain,
    read_file,
)
from vivavoce.settings.types import (
    Checkpoints,
    Folder,
    Names,
    NotNegative,
    Positive,
    RemoteModels,
    as_checkpoint,
    checkpoint_name,
    is_path,
    split_commas,
    user_cache_dir,
    user_data_dir,
)


class Settings(BaseSettings):
    """Every setting of the server, checked and frozen.

    `Settings(...)` takes what it is given and defaults for the rest; `Settings.read` also reads the
    file and the environment.
    """

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        env_ignore_empty=True,  # compose files pass unset variables on as empty ones
        extra="forbid",
        frozen=True,
        validate_default=True,
    )

    host: str = Field(
        default="0.0.0.0",
        description="Address to listen on; 127.0.0.1 keeps the server to this machine.",
    )
    port: int = Field(
        default=8000, ge=0, le=65535, description="TCP port to listen on; 0 takes any free one."
    )
    models: Names = Field(
        default=("hibari", "kokoro"),
        min_length=1,
        description="Models this server offers, comma-separated: `hibari`, `kokoro`, or `tone` for tests.",
    )
    default_model: str = Field(
        default="auto",
        description="Model that answers a request which names none; `auto` chooses by language and what is ready. "
        "The folder or hub id of a Qwen3-TTS checkpoint adds it to `qwen` and names it.",
    )
    qwen: Checkpoints = Field(
        default=(),
        description="Qwen3-TTS checkpoints to offer, comma-separated, before all other models: folders, or the hub ids "
        "of what `vivavoce models pull` brought, like `Qwen/Qwen3-TTS-12Hz-0.6B-CustomVoice` or `OWNER/NAME@REVISION`. "
        "Each is a model named by its last part, in lower case.",
    )
    qwen_device: str = Field(
        default="auto",
        description="Where Qwen3-TTS runs: `auto` is CUDA where there is some, else the CPU.",
    )
    qwen_dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        default="auto",
        description="Numbers that Qwen3-TTS computes in; `auto` is bfloat16 on CUDA, else float32.",
    )
    qwen_weights: Literal["auto", "plain", "prepacked", "int8"] = Field(
        default="auto",
        description="How Qwen3-TTS keeps its matrices: `prepacked` for speed on a CPU, which `auto` is there; "
        "`int8`, on a CPU or CUDA, is faster still and less exact; `plain` is the numbers of the dtype, as they are.",
    )
    qwen_max_batch: Annotated[int, Field(ge=1)] | Literal["auto"] = Field(
        default="auto",
        description="Segments that a Qwen3-TTS checkpoint speaks at once; each takes memory for good. `auto` is what "
        "fits into the free memory of a CUDA device, 64 at most, and 8 on a CPU.",
    )
    qwen_graphs: Literal["auto", "startup", "off"] = Field(
        default="auto",
        description="CUDA graphs of Qwen3-TTS: `auto` and `startup` capture them before the model is ready, `off` "
        "none. They change the speed, not the speech; without CUDA there are none.",
    )
    remote: RemoteModels = Field(
        default=(),
        description="Models of other speech servers, comma-separated, as `MODEL=URL`: another vivavoce, or any server "
        "of OpenAI's speech API. The same model again is another server with it; the least busy one speaks.",
    )
    remote_api_key: str | None = Field(
        default=None, repr=False, description="API key for the servers of `remote`."
    )
    remote_timeout_s: Positive = Field(
        default=60.0, description="Longest wait for the next byte of a server of `remote`."
    )
    remote_voices: Names = Field(
        default=("alloy",),
        min_length=1,
        description="Voices of the servers of `remote` that list none.",
    )
    remote_languages: Names = Field(
        default=("en",),
        min_length=1,
        description="Languages, as ISO 639-1 codes, of the servers of `remote` that are no vivavoce.",
    )
    ray: Names = Field(
        default=(),
        description="Models that the Ray cluster of this machine speaks, comma-separated: names of Serve applications.",
    )
    ray_address: str = Field(
        default="auto", description="Address of the Ray cluster; `auto` is the one started here."
    )
    ray_min_replicas: int = Field(
        default=1, ge=1, description="Fewest replicas of a model that is deployed to Ray."
    )
    ray_max_replicas: int = Field(
        default=1, ge=1, description="Most replicas, which Ray starts as they are needed."
    )
    ray_max_ongoing_requests: int = Field(
        default=8,
        ge=1,
        description="Segments that one replica takes at once; of more, `max_queued_requests` wait outside.",
    )
    ray_num_cpus: NotNegative = Field(
        default=1.0, description="CPU cores that Ray sets aside for a replica."
    )
    ray_num_gpus: NotNegative = Field(
        default=0.0,
        description="GPUs, or a share of one, that Ray sets aside for a replica.",
    )
    isolate_models: bool = Field(
        default=True,
        description="Run each model of this machine in a process of its own: one that crashes or hangs is killed and "
        "restarted, and the server goes on. Without it, and on systems other than Linux and macOS, models run in the "
        "server's process, which ends when a step hangs.",
    )
    max_process_memory_gb: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="Memory that such a process may allocate, in GB (10⁹ bytes), on Linux; that of a CUDA device does "
        "not count. What finds none is answered 503. Unset: no limit.",
    )
    max_model_memory_gb: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="Memory that Qwen3-TTS checkpoints may take together, in GB (10⁹ bytes): the least recently used "
        "are unloaded when others need theirs. Unset: no limit.",
    )
    idle_unload_s: NotNegative = Field(
        default=0.0,
        description="Seconds after which a model that nobody uses is unloaded; the next request loads it again. "
        "0: never.",
    )
    load_models: Literal["startup", "lazy"] = Field(
        default="startup",
        description="When models are loaded: as the server starts, or at the first request for each.",
    )
    cache_dir: Folder = Field(
        default_factory=user_cache_dir,
        description="Folder for downloaded model files, made when it is needed.",
    )
    data_dir: Folder = Field(
        default_factory=user_data_dir,
        description="Folder for what is to be kept, such as API keys.",
    )
    kokoro_dir: Folder | None = Field(
        default=None,
        description="Folder with your own `model.onnx`, `vocab.json` and `voices/` for kokoro; "
        "unset uses what `vivavoce models pull kokoro` brought.",
    )
    threads: int | None = Field(
        default=None,
        ge=1,
        description="CPU threads for the models that run there; unset uses the cores available.",
    )
    max_text_chars: int = Field(
        default=100_000, ge=1, description="Longest text of one request, in characters."
    )
    max_body_bytes: int = Field(
        default=16_777_216,
        ge=1024,
        description="Largest request body, in bytes. A recording to clone comes in it: half a minute of 48 kHz stereo "
        "takes 8 million.",
    )
    max_bodies_bytes: int = Field(
        default=268_435_456,
        ge=1024,
        description="What the bodies of all running requests may come to, in bytes; at least `max_body_bytes`.",
    )
    max_spool_bytes: int = Field(
        default=2_147_483_648,
        ge=1024,
        description="Disk that whole answers of more than 8 MiB may take together until they are sent, in bytes. "
        "Beyond it they are refused with 503.",
    )
    max_connections: int = Field(
        default=512,
        ge=1,
        description="Connections that may be open; on more, everything but `/health` is refused. It is lowered at the "
        "start if the system allows too few open files: two for each, and 192.",
    )
    receive_timeout_s: Positive = Field(
        default=20.0,
        description="Seconds that a request may take to arrive, and its body one more for each 1,000 bytes of it.",
    )
    send_timeout_s: Positive = Field(
        default=60.0,
        description="Seconds after which a client is dropped that takes nothing of what is sent to it.",
    )
    max_queued_requests: int = Field(
        default=64,
        ge=1,
        description="Requests that may wait for one model before more are refused with 429.",
    )
    max_queued_audio_s: Positive = Field(
        default=600.0,
        description="Seconds of audio, as predicted from their texts, that such requests may come to together. Of each "
        "no more than `max_ahead_s` count.",
    )
    queue_timeout_s: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="Seconds that a request may wait for its turn in a model of this machine. One that could not begin "
        "by then is refused with 429, and so is one that has not. Unset: it waits.",
    )
    request_timeout_s: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="Seconds after which a request is given up, the listener's own time included; unset, never. A "
        "request may ask for less in `timeout_s`.",
    )
    max_ahead_s: Positive = Field(
        default=30.0,
        description="Seconds of audio that a stream may run ahead of its listener.",
    )
    max_step_s: Positive = Field(
        default=10.0,
        description="Seconds that one step of a model may take before it counts as hung. `kokoro`, whose step is a "
        "whole sentence, and Qwen3-TTS, whose step may read a prompt, have six times as long.",
    )
    wit_prefix: str = Field(
        default="/wit",
        pattern=r"^(/[A-Za-z0-9._~/-]*)?$",
        description="Path below which Meta's Voice SDK finds `synthesize` and `voices`; `/` puts them at the root, an "
        "empty one in the settings file turns them off.",
    )
    cors_origins: Names = Field(
        default=("*",),
        description="Web origins whose pages may call the server, comma-separated; `*` is any.",
    )
    allowed_hosts: Names = Field(
        default=(),
        description="Names besides those of this machine, `public_url` and `cors_origins`, comma-separated, that a "
        "server on a loopback address is called by, and its pages come from; `*` is any. On other addresses nothing "
        "is refused.",
    )
    tls_certificate: Folder | None = Field(
        default=None,
        description="PEM file with the certificate to serve https with, and those that vouch for it.",
    )
    tls_key: Folder | None = Field(
        default=None, description="PEM file with the key of `tls_certificate`."
    )
    tls_self_signed: bool = Field(
        default=False,
        description="Serve https with a certificate that the server signs itself and keeps in `cache_dir`; needs "
        "`vivavoce[lan]`.",
    )
    mdns: bool = Field(
        default=False,
        description="Announce the server on the local network, as `_vivavoce._tcp`; needs `vivavoce[lan]`.",
    )
    public_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^/\s]+(/[^\s?#]*)?$",
        description="Where others reach the server, as `http://192.168.1.20:8000/`: what the page shows as a QR code. "
        "Unset, it is this machine's address on its network; in a container that is the wrong one.",
    )
    shutdown_timeout_s: NotNegative = Field(
        default=30.0,
        description="Seconds that running requests get to finish after SIGTERM.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least severe messages to log."
    )
    log_format: Literal["text", "json"] = Field(
        default="text",
        description="Lines of the log: `text` for people, `json` an object each, for programs.",
    )
    otlp_endpoint: str | None = Field(
        default=None,
        pattern=r"^https?://\S+$",
        description="Where a trace of each request is sent, over OTLP/HTTP, like `http://localhost:4318/v1/traces`; "
        "needs `vivavoce[otel]`. Unset: nowhere.",
    )
    tone_real_time_factor: NotNegative = Field(
        default=0.0,
        description="Seconds that the `tone` test model takes per second of audio; 0 is as fast as it can.",
    )
    tone_faults: Names = Field(
        default=(),
        description="Ways in which the `tone` test model fails, comma-separated, like `raise,hang`: each is a voice of "
        "that name which does.",
    )

    @model_validator(mode="before")
    @classmethod
    def _model_may_be_a_path(cls, values: Any) -> Any:  # Any: not checked yet
        if not isinstance(values, dict) or not is_path(values.get("default_model")):
            return values
        given, others = (
            as_checkpoint(values["default_model"]),
            split_commas(values.get("qwen") or ()),
        )
        if not isinstance(others, list | tuple):
            return values  # the field's own check says what is wrong
        name = checkpoint_name(given)
        known = {
            checkpoint_name(as_checkpoint(other))
            for other in others
            if isinstance(other, str | Path)
        }
        return {
            **values,
            "default_model": name,
            "qwen": others if name in known else (given, *others),
        }

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        names = [
            *map(checkpoint_name, self.qwen),
            *self.remotes,
            *self.on_ray,
            *dict.fromkeys(self.models),
        ]
        twice = [name for name, count in Counter(names).items() if count > 1]
        if twice:
            raise ValueError(
                f"{twice[0]!r} would be the name of two models: rename the folder of a checkpoint, "
                "or offer one of them alone"
            )
        return self

    @model_validator(mode="after")
    def _model_is_offered(self) -> Self:
        if self.default_model != "auto" and self.default_model not in self.offered:
            offered = ", ".join(self.offered)
            raise ValueError(
                f"model {self.default_model!r} is not among models ({offered}): add it there or choose one of them"
            )
        return self

    @model_validator(mode="after")
    def _process_memory_needs_a_process(self) -> Self:
        if self.max_process_memory_gb is not None and not self.isolate_models:
            raise ValueError(
                "max_process_memory_gb is for models in processes of their own: isolate_models must be true"
            )
        return self

    @model_validator(mode="after")
    def _tls_is_one_of_two_ways(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key belong together: set both, or neither")
        if self.tls_self_signed and self.tls_certificate is not None:
            raise ValueError(
                "tls_self_signed makes a certificate and tls_certificate names one: set one of them"
            )
        return self

    @property
    def checkpoints(self) -> dict[str, Path | str]:
        """The Qwen3-TTS checkpoints by the names of their models: folders, and ids on the hub as strings."""
        return {checkpoint_name(checkpoint): checkpoint for checkpoint in self.qwen}

    @property
    def remotes(self) -> dict[str, list[tuple[str, str]]]:
        """The models of `remote` by name: for each the URLs, and what the model is called there."""
        found: dict[str, list[tuple[str, str]]] = {}
        for model, _, url in (remote.partition("=") for remote in self.remote):
            found.setdefault(checkpoint_name(model), []).append((url, model))
        return found

    @property
    def on_ray(self) -> tuple[str, ...]:
        """The models of `ray`, by the names that requests use."""
        return tuple(dict.fromkeys(name.lower() for name in self.ray))

    @property
    def offered(self) -> tuple[str, ...]:
        """The names of all models, in order of preference."""
        return (*self.checkpoints, *self.remotes, *self.on_ray, *self.models)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Keep `Settings(...)` free of surprises; `read` merges the other sources and remembers their names."""
        return (init_settings,)

    @classmethod
    def read(cls, config: Path | None = None, **overrides: object) -> Self:
        """Return the settings: `overrides` beat the environment, which beats the file, which beats
        the defaults.

        `config` is a TOML file; without it `VIVAVOCE_CONFIG` names one, or there is none. An
        override that is `None` counts as not given. Raises `SettingsError` for an unknown name, a
        wrong value or an unreadable file.
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
        # Any: the values are of no type yet; the constructor is what checks them.
        values: dict[str, Any] = {**file, **environment, **given}
        try:
            return cls(**values)
        except ValidationError as error:
            raise SettingsError(explain(error, origin)) from error
