"""Read the server's state and its lists of voices and languages.

An unreachable server is a state, not an error.
"""

from dataclasses import dataclass, field
from typing import Any

from vivavoce.client import Client, Health, ModelEntry
from vivavoce.errors import VivavoceError

LIST_TIMEOUT_S = 10.0
SPEECH_TIMEOUT_S = 120.0  # for the next bytes, as the first may wait for a model to load
AUTO = "auto"


@dataclass(frozen=True, slots=True)
class Connection:
    """The address of the server, and the API key if it needs one."""

    url: str
    api_key: str | None

    def client(self, timeout_s: float | None = None) -> Client:
        """Return a client, to be closed. Raises `BadRequest` for an invalid address."""
        return Client(self.url, api_key=self.api_key, timeout_s=timeout_s or LIST_TIMEOUT_S)


@dataclass(frozen=True, slots=True)
class ServerState:
    """The state of the server and its models. `problem` is the reason if there are none."""

    health: Health | None = None
    models: tuple[ModelEntry, ...] = ()
    fields: dict[str, dict[str, Any]] = field(default_factory=dict)  # as `Client.fields`
    problem: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the available models, `auto` first."""
        useless = ("missing", "failed")
        return (AUTO, *(entry.id for entry in self.models if entry.state not in useless))

    def is_loading(self, model: str) -> bool:
        """True if the lists of `model` would have to wait."""
        return any(entry.state == "loading" and model in (AUTO, entry.id) for entry in self.models)


@dataclass(frozen=True, slots=True)
class Choices:
    """The values for `speaker`, each with a label, and for `language`."""

    speakers: dict[str, str]
    languages: tuple[str, ...]
    problem: str = ""


def read_state(connection: Connection) -> ServerState:
    """Return the server's current state."""
    try:
        with connection.client() as client:
            health = client.health()
            models = tuple(entry for entry in client.models() if entry.state != "alias")
            return ServerState(health, models, client.fields())
    except VivavoceError as error:
        return ServerState(problem=error.message)


def read_choices(connection: Connection, state: ServerState, model: str) -> Choices:
    """Return the choices of `model`, or `auto` alone while they are unknown."""
    if state.problem:
        return Choices({}, (AUTO,))
    if state.is_loading(model):
        problem = "Loading: the other speakers and languages appear when it is done."
        return Choices({}, (AUTO,), problem)
    asked = None if model == AUTO else model
    try:
        with connection.client() as client:
            labels = {
                voice.id: f"{voice.name} ({', '.join(voice.languages[:3])})"
                for voice in reversed(client.voices(asked))
            }
            speakers = {name: labels.get(name, name) for name in client.speakers(asked)}
            return Choices(speakers, client.languages(asked))
    except VivavoceError as error:
        return Choices({}, (AUTO,), error.message)
