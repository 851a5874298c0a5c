"""Define every setting once: name, type, unit, bounds, default and description.

The module does not know the use of a setting. Only `cli`, `registry` and `api.app` see a
`Settings` object. Everything below them takes plain values.
"""

from collections import Counter
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator
from pydantic_settings import SettingsConfigDict

from vivavoce.settings.reading import SettingsWithSources
from vivavoce.settings.sources import ENV_PREFIX
from vivavoce.settings.types import (
    Checkpoints,
    Count,
    Folder,
    Limit,
    Names,
    NotNegative,
    Positive,
    RemoteModels,
    Tcp,
    as_checkpoint,
    checkpoint_name,
    is_path,
    split_commas,
    tcp_address,
    user_cache_dir,
    user_data_dir,
)


class Settings(SettingsWithSources):
    """Every setting of the server, checked and frozen."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        env_ignore_empty=True,  # compose files pass unset variables as empty ones
        extra="forbid",
        use_attribute_docstrings=True,  # the description is the string below each setting
        frozen=True,
        validate_default=True,
    )

    host: str = "0.0.0.0"
    """Address to listen on. 127.0.0.1 keeps the server to this machine."""

    port: int = Field(8000, ge=0, le=65535)
    """TCP port to listen on. 0 takes any free port."""

    models: Names = Field(("hibari", "kokoro"), min_length=1)
    """Models to offer, comma-separated: `hibari`, `kokoro`, or `tone` for tests."""

    default_model: str = "auto"
    """Model for requests that name none. `auto` chooses by language and by what is ready. The
    folder or hub id of a Qwen3-TTS checkpoint also adds it to `qwen`."""

    default_language: Literal["en", "zh", "de", "it", "pt", "es", "ja", "ko", "fr", "ru", "hi"] = (
        "en"
    )
    """Language (ISO 639-1) of texts that leave it open, such as a name alone. Other languages are
    detected, by strong evidence."""

    qwen: Checkpoints = ()
    """Qwen3-TTS checkpoints to offer before all other models, comma-separated. Each is a folder, or
    the hub id of a checkpoint that `vivavoce models pull` has downloaded, like
    `Qwen/Qwen3-TTS-12Hz-0.6B-CustomVoice` or `OWNER/NAME@REVISION`. The last part of it, in lower
    case, is the model's name. For load tests, `random:1.7b`, `random:0.6b` and `random:tiny` have
    random weights and make noise. Their files are written to `cache_dir`."""

    qwen_device: str = "auto"
    """Device for Qwen3-TTS. `auto` is CUDA if available, else the CPU."""

    qwen_dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Number type for Qwen3-TTS. `auto` is bfloat16 on CUDA, else float32."""

    qwen_weights: Literal["auto", "plain", "prepacked", "int8"] = "auto"
    """Weight form of Qwen3-TTS. `prepacked` is fast on a CPU, and the choice of `auto` there.
    `int8`, on a CPU or CUDA, is faster and less exact. `plain` has the numbers of the dtype."""

    qwen_codec_precision: Literal["auto", "float32", "tf32", "bfloat16"] = "auto"
    """Numbers that the codec of Qwen3-TTS multiplies. `auto` is TF32 on CUDA if the model's samples
    have a signal-to-noise ratio of at least 50 dB in it, else float32. `bfloat16` has less."""

    qwen_max_batch: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    """Segments that one Qwen3-TTS checkpoint speaks at once. Each takes memory permanently. `auto`
    is 8 on a CPU, and on CUDA the number that fits into the free memory, at most 64."""

    qwen_graphs: Literal["auto", "startup", "off"] = "auto"
    """CUDA graphs of Qwen3-TTS. `auto` and `startup` capture them before the model is ready. `off`
    uses none. They change only the speed."""

    remote: RemoteModels = ()
    """Models of other speech servers, comma-separated, as `MODEL=URL`. A server is another
    vivavoce, or any server with OpenAI's speech API. Repeat a model to name more of its servers.
    The least busy one speaks."""

    remote_api_key: str | None = Field(None, repr=False)
    """API key for the servers of `remote`."""

    remote_timeout_s: Positive = 60.0
    """Longest wait for the next byte from a server of `remote`."""

    remote_voices: Names = Field(("alloy",), min_length=1)
    """Voices of the servers of `remote` that list none."""

    remote_languages: Names = Field(("en",), min_length=1)
    """ISO 639-1 codes of the languages of the servers of `remote` that are no vivavoce."""

    ray: Names = ()
    """Models that the Ray cluster of this machine speaks, comma-separated: names of Serve
    applications."""

    ray_address: str = "auto"
    """Address of the Ray cluster. `auto` is the cluster of this machine."""

    ray_min_replicas: Count = 1
    """Fewest replicas of a model that is deployed to Ray."""

    ray_max_replicas: Count = 1
    """Most replicas of such a model. Ray starts them as needed."""

    ray_max_ongoing_requests: Count = 8
    """Segments that one replica takes at once. Up to `max_queued_requests` more wait."""

    ray_num_cpus: NotNegative = 1.0
    """CPU cores that Ray reserves for a replica."""

    ray_num_gpus: NotNegative = 0.0
    """GPUs, or a share of one, that Ray reserves for a replica."""

    isolate_models: bool = True
    """Run each model of this machine in a process of its own. A model that crashes or hangs is then
    killed and restarted, and the server goes on. Otherwise, and on systems other than Linux and
    macOS, models run in the server's process, which ends if a step hangs."""

    max_process_memory_gb: Limit = None
    """Memory that such a process may allocate, in GB (10⁹ bytes), on Linux. Memory of a CUDA device
    does not count. Beyond the limit a request is answered 503. Unset: no limit."""

    max_model_memory_gb: Limit = None
    """Memory that all Qwen3-TTS checkpoints may take together, in GB (10⁹ bytes). The least
    recently used are unloaded when others need memory. Unset: no limit."""

    idle_unload_s: NotNegative = 0.0
    """Seconds after which an unused model is unloaded. The next request loads it again. 0: never.
    """

    load_models: Literal["startup", "lazy"] = "startup"
    """Time to load models: when the server starts, or at each model's first request."""

    cache_dir: Folder = Field(default_factory=user_cache_dir)
    """Folder for downloaded model files. It is created when needed."""

    data_dir: Folder = Field(default_factory=user_data_dir)
    """Folder for permanent data, such as API keys."""

    require_consent: bool = True
    """Save the voice of a recording only with a record of who agreed to it."""

    kokoro_dir: Folder | None = None
    """Folder with your own `model.onnx`, `vocab.json` and `voices/` for kokoro. Unset: the files
    that `vivavoce models pull kokoro` has downloaded."""

    provenance: Literal["auto", "c2pa", "tags", "off"] = "auto"
    """Marks of synthetic speech. `tags` is a header of each answer and a comment in each file that
    has a place for one. `c2pa` also signs whole wav, mp3, flac and m4a files, and needs
    `vivavoce[provenance]`. `auto` signs them where that is installed."""

    c2pa_certificate: Folder | None = None
    """PEM file with the certificate that signs, and its intermediate certificates. With it `auto`
    is `c2pa`. Unset: one that the server makes for itself and keeps in `data_dir`."""

    c2pa_key: Folder | None = None
    """PEM file (PKCS #8) with the key of `c2pa_certificate`."""

    align: Literal["auto", "off"] = "auto"
    """Word times of models that tell none, such as Qwen3-TTS. `auto` hears them in the audio if
    `vivavoce[align]` is installed, for languages where that is exact. `off` estimates them."""

    threads: int | None = Field(None, ge=1)
    """CPU threads for models on the CPU. Unset: all cores."""

    max_text_chars: Count = 100_000
    """Longest text of one request, in characters."""

    max_body_bytes: int = Field(16_777_216, ge=1024)
    """Largest request body, in bytes. It includes a recording to clone: half a minute of 48 kHz
    stereo takes 8 million bytes."""

    max_bodies_bytes: int = Field(268_435_456, ge=1024)
    """Limit on the total size of all request bodies in flight, in bytes. At least `max_body_bytes`.
    """

    max_spool_bytes: int = Field(2_147_483_648, ge=1024)
    """Limit on the disk space for all whole answers of more than 8 MiB that wait to be sent, in
    bytes. Beyond it such requests are refused with 503."""

    max_book_bytes: int = Field(67_108_864, ge=1024)
    """Largest file of a book, in bytes."""

    max_book_chars: Count = 10_000_000
    """Longest book, in characters."""

    max_jobs: Count = 100
    """Jobs that one key may have, also those that have ended."""

    max_jobs_bytes: int = Field(20_000_000_000, ge=1024)
    """Disk space for the books and the audio of one key's jobs, in bytes."""

    webhook_hosts: Names = ()
    """Hosts that jobs may tell of their end, comma-separated: names, addresses, or networks like
    `10.0.0.0/8`. A name leads only to public addresses and to those listed here."""

    max_connections: Count = 512
    """Most open connections. Beyond it everything but `/health` is refused. The server lowers it at
    the start if the system allows too few open files: two for each connection, and 192."""

    max_live_connections: Count = 500
    """Live connections (WebSockets and Wyoming) at once. One key gets at most half of them."""

    live_timeout_s: Positive = 600.0
    """Seconds after which a live connection is closed on which nothing is said or sent."""

    wyoming: Tcp | None = None
    """Address for clients of the Wyoming protocol, such as Home Assistant, like
    `tcp://0.0.0.0:10200`. Unset: none."""

    wyoming_without_key: bool = False
    """Speak for clients of Wyoming, which cannot send an API key, also when the server asks for
    one."""

    receive_timeout_s: Positive = 20.0
    """Seconds that a request may take to arrive, plus one second for each 1,000 bytes of its body.
    """

    send_timeout_s: Positive = 60.0
    """Seconds without progress after which a client that does not read is disconnected."""

    max_queued_requests: Count = 64
    """Requests that may wait for one model. More are refused with 429."""

    max_queued_audio_s: Positive = 600.0
    """Total seconds of audio, predicted from the texts, that may wait for one model. At most
    `max_ahead_s` of each request count."""

    queue_timeout_s: Limit = None
    """Seconds that a request may wait for a model of this machine. A request is refused with 429 if
    it cannot start in time, at once if that is predictable. Unset: no limit."""

    request_timeout_s: Limit = None
    """Seconds after which a request fails, including the time that the listener takes. A request
    may ask for less in `timeout_s`. Unset: never."""

    max_ahead_s: Positive = 30.0
    """Seconds of audio that a stream may run ahead of its listener."""

    max_step_s: Positive = 10.0
    """Seconds after which a step of a model counts as hung. The limit is six times as long for
    `kokoro`, whose first step may measure a voice, and for Qwen3-TTS, whose step may read a prompt.
    """

    wit_prefix: str = Field("/wit", pattern=r"^(/[A-Za-z0-9._~/-]*)?$")
    """Path of `synthesize` and `voices` for Meta's Voice SDK. `/` puts them at the root. An empty
    path in the settings file turns them off."""

    cors_origins: Names = ("*",)
    """Web origins whose pages may call the server, comma-separated. `*`: any."""

    allowed_hosts: Names = ()
    """Host names that a server on a loopback address accepts in addition to those of this machine,
    `public_url` and `cors_origins`, comma-separated. `*`: any. A server on another address accepts
    any."""

    tls_certificate: Folder | None = None
    """PEM file with the certificate for https and its intermediate certificates."""

    tls_key: Folder | None = None
    """PEM file with the key of `tls_certificate`."""

    tls_self_signed: bool = False
    """Serve https with a self-signed certificate, which the server keeps in `cache_dir`. Needs
    `vivavoce[lan]`."""

    mdns: bool = False
    """Announce the server on the local network, as `_vivavoce._tcp`, and `wyoming` as
    `_wyoming._tcp`. Needs `vivavoce[lan]`."""

    public_url: str | None = Field(None, pattern=r"^https?://[^/\s]+(/[^\s?#]*)?$")
    """Address of the server for other devices, like `http://192.168.1.20:8000/`. The page shows it
    as a QR code. Unset: this machine's network address, which is wrong in a container."""

    shutdown_timeout_s: NotNegative = 30.0
    """Seconds that running requests have to finish after SIGTERM."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severe messages to log."""

    log_format: Literal["text", "json"] = "text"
    """Format of log lines: `text` for people, or `json` with one object a line."""

    otlp_endpoint: str | None = Field(None, pattern=r"^https?://\S+$")
    """Collector for a trace of each request, over OTLP/HTTP, like
    `http://localhost:4318/v1/traces`. Needs `vivavoce[otel]`. Unset: no traces."""

    tone_real_time_factor: NotNegative = 0.0
    """Seconds that the `tone` test model takes per second of audio. 0: no delay."""

    tone_faults: Names = ()
    """Faults of the `tone` test model, comma-separated, like `raise,hang`. Each is a voice of that
    name."""

    @model_validator(mode="before")
    @classmethod
    def _model_may_be_a_path(cls, values: Any) -> Any:  # Any: not checked yet
        if not isinstance(values, dict) or not is_path(values.get("default_model")):
            return values
        given = as_checkpoint(values["default_model"])
        others = split_commas(values.get("qwen") or ())
        if not isinstance(others, list | tuple):
            return values  # the field's own check says what is wrong
        name, known = checkpoint_name(given), (one for one in others if isinstance(one, str | Path))
        there = name in map(checkpoint_name, map(as_checkpoint, known))
        qwen = others if there else (given, *others)
        return {**values, "default_model": name, "qwen": qwen}

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        own = (*map(checkpoint_name, self.qwen), *self.remotes, *self.on_ray)
        names = (*own, *dict.fromkeys(self.models))
        twice = [name for name, count in Counter(names).items() if count > 1]
        if twice:
            raise ValueError(
                f"{twice[0]!r} would be the name of two models: rename the folder of a checkpoint, "
                "or offer only one of them"
            )
        return self

    @model_validator(mode="after")
    def _model_is_offered(self) -> Self:
        if self.default_model != "auto" and self.default_model not in self.offered:
            offered = ", ".join(self.offered)
            raise ValueError(
                f"model {self.default_model!r} is not among models ({offered}): "
                "add it there or choose one of them"
            )
        return self

    @model_validator(mode="after")
    def _process_memory_needs_a_process(self) -> Self:
        if self.max_process_memory_gb is not None and not self.isolate_models:
            raise ValueError(
                "max_process_memory_gb is for models in processes of their own: "
                "isolate_models must be true"
            )
        return self

    @model_validator(mode="after")
    def _certificates_are_complete(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key belong together: set both, or neither")
        if (self.c2pa_certificate is None) != (self.c2pa_key is None):
            raise ValueError("c2pa_certificate and c2pa_key belong together: set both, or neither")
        if self.tls_self_signed and self.tls_certificate is not None:
            raise ValueError(
                "tls_self_signed makes a certificate and tls_certificate names one: set one of them"
            )
        return self

    @property
    def checkpoints(self) -> dict[str, Path | str]:
        """The Qwen3-TTS checkpoints by model name. A folder is a path, a hub id a string."""
        return {checkpoint_name(checkpoint): checkpoint for checkpoint in self.qwen}

    @property
    def remotes(self) -> dict[str, list[tuple[str, str]]]:
        """The models of `remote` by name, each with its URLs and names there."""
        found: dict[str, list[tuple[str, str]]] = {}
        for model, _, url in (remote.partition("=") for remote in self.remote):
            found.setdefault(checkpoint_name(model), []).append((url, model))
        return found

    @property
    def on_ray(self) -> tuple[str, ...]:
        """The models of `ray`, by their names in requests."""
        return tuple(dict.fromkeys(name.lower() for name in self.ray))

    @property
    def wyoming_address(self) -> tuple[str, int] | None:
        """Host and port for clients of Wyoming."""
        return None if self.wyoming is None else tcp_address(self.wyoming)

    @property
    def offered(self) -> tuple[str, ...]:
        """The names of all models, in order of preference."""
        return (*self.checkpoints, *self.remotes, *self.on_ray, *self.models)
