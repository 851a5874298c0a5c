"""Ask the server how it stands and what there is to choose from; a server that is away is an answer, not an error."""

from dataclasses import dataclass

from vivavoce.client import Client, Health, ModelEntry
from vivavoce.errors import VivavoceError

LIST_TIMEOUT_S = 10.0
SPEECH_TIMEOUT_S = (
    120.0  # until the next bytes; the first may wait for a model that is being loaded
)
AUTO = "auto"


@dataclass(frozen=True, slots=True)
class Connection:
    """Where the server is, and the key to it if it asks for one."""

    url: str
    api_key: str | None

    def client(self, timeout_s: float | None = None) -> Client:
        """Return a client, to be closed. Raises `BadRequest` for an address that is none."""
        return Client(self.url, api_key=self.api_key, timeout_s=timeout_s or LIST_TIMEOUT_S)


@dataclass(frozen=True, slots=True)
class ServerState:
    """The server and its models, without aliases; `problem` says why there are none."""

    health: Health | None = None
    models: tuple[ModelEntry, ...] = ()
    problem: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """The models that can be chosen, `auto` first."""
        return (
            AUTO,
            *(entry.id for entry in self.models if entry.state not in ("missing", "failed")),
        )

    def is_loading(self, model: str) -> bool:
        """Tell whether the lists of `model` would have to wait."""
        return any(entry.state == "loading" and model in (AUTO, entry.id) for entry in self.models)


@dataclass(frozen=True, slots=True)
class Choices:
    """Who can speak what: names for `speaker` with a label each, and names for `language`."""

    speakers: dict[str, str]
    languages: tuple[str, ...]
    problem: str = ""


def look(connection: Connection) -> ServerState:
    """Return how the server stands now."""
    try:
        with connection.client() as client:
            health = client.health()
            return ServerState(
                health, tuple(entry for entry in client.models() if entry.state != "alias")
            )
    except VivavoceError as error:
        return ServerState(problem=error.message)


def choices(connection: Connection, standing: ServerState, model: str) -> Choices:
    """Return what `model` offers; `auto` alone as long as that is not known."""
    if standing.problem:
        return Choices({}, (AUTO,))
    if standing.is_loading(model):
        return Choices(
            {}, (AUTO,), "Loading: the other speakers and languages appear when it is done."
        )
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
