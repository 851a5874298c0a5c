"""Speak with a model of other servers: each segment goes to the least busy.

It knows no HTTP.

- A segment that a server rejects, or fails to start, goes to the next server.
- After its first audio an error ends the segment.
- Servers that failed recently are tried last.
"""

import asyncio
import logging
import time
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace

import httpx

from vivavoce.client import wire
from vivavoce.errors import (
    BadRequest,
    DeadlineExceeded,
    EngineFault,
    NotReady,
    Overloaded,
    VivavoceError,
)
from vivavoce.remote.server import OPENAI_RATE_HZ, RemoteServer
from vivavoce.remote.stream import (
    ChunkSource,
    RemoteStream,
    RemoteStreams,
    reference_voice,
    remote_info,
)
from vivavoce.serving.base import ChunkStream, Engine, PeerState
from vivavoce.types import (
    Capabilities,
    EngineInfo,
    PreparedVoice,
    Reference,
    Segment,
    StopReason,
    Voice,
)

log = logging.getLogger(__name__)

CONNECT_S = 3.0


@dataclass(frozen=True, slots=True)
class RemoteOptions:
    """Settings of the models of other servers.

    `timeout_s` bounds the wait for each next byte of a server. `voices` and `languages` are used
    for servers that list none. At most `max_queued_requests` requests for a model wait for their
    first audio.
    """

    api_key: str | None = field(default=None, repr=False)
    timeout_s: float = 60.0
    voices: Sequence[str] = ("alloy",)
    languages: Sequence[str] = ("en",)
    max_queued_requests: int = 64


_DEFAULTS = RemoteOptions()


class RemoteEngine(Engine):
    """An `Engine` named `name` over `servers`, pairs of a URL and the model's name there."""

    def __init__(
        self, name: str, servers: Sequence[tuple[str, str]], options: RemoteOptions = _DEFAULTS
    ) -> None:
        self._name = name
        self._http = httpx.AsyncClient(
            headers=wire.auth_headers(options.api_key),
            timeout=httpx.Timeout(options.timeout_s, connect=CONNECT_S),
            # Close idle connections before a server does: a request would notice that too late.
            limits=httpx.Limits(
                max_connections=None, max_keepalive_connections=64, keepalive_expiry=2.0
            ),
        )
        self._servers = [RemoteServer(url, model, self._http) for url, model in servers]
        self._voices, self._languages = tuple(options.voices), tuple(options.languages)
        self._segments = RemoteStreams(name, options.max_queued_requests)
        self._info: EngineInfo | None = None

    @property
    def info(self) -> EngineInfo:
        assert self._info is not None, "the description is known once the engine has started"
        return self._info

    @property
    def peers(self) -> Sequence[PeerState]:
        return [PeerState(one.url, up=one.up, speaking=one.active) for one in self._servers]

    async def start(self) -> None:
        """Read the servers' descriptions of the model. Raise `EngineFault` if none answers."""
        found = await asyncio.gather(*map(self._ask, self._servers))
        infos = [info for info in found if isinstance(info, EngineInfo)]
        if not infos:
            await self._http.aclose()
            reasons = [error.message for error in found if isinstance(error, VivavoceError)]
            raise EngineFault(f"no server speaks for model {self._name!r}: {'; '.join(reasons)}")
        self._info = remote_info(infos[0], self._name)

    async def check(self) -> None:
        """Raise `NotReady` if no server answers. Ask only if none has answered recently."""
        if any(server.recently_seen for server in self._servers):
            return
        asked = [server.answers() for server in self._servers if not server.unreachable]
        if not any(await asyncio.gather(*asked)):
            raise NotReady(
                f"no server of model {self._name!r} answers: check that they run, and the setting "
                "'remote'"
            )

    async def aclose(self) -> None:
        await self._segments.aclose()
        await self._http.aclose()

    def speak(self, segment: Segment, *, follows: ChunkStream | None = None) -> RemoteStream:
        return self._segments.speak(segment, follows, self._chunks)

    async def prepare_voice(self, reference: Reference) -> PreparedVoice:
        return reference_voice(self.info, reference)

    async def _ask(self, server: RemoteServer) -> EngineInfo | VivavoceError:
        try:
            return await server.info() or await self._assumed_info(server)
        except VivavoceError as error:
            log.warning("%s", error.message)
            server.mark_failed()
            return error

    async def _assumed_info(self, server: RemoteServer) -> EngineInfo:
        """Return the description of a model whose server has only OpenAI's speech API."""
        voices = await server.voices() or self._voices
        return EngineInfo(
            name=self._name,
            sample_rate_hz=OPENAI_RATE_HZ,
            languages=self._languages,
            voices=tuple(Voice(voice, voice, self._languages) for voice in voices),
            capabilities=Capabilities(instruct=True),
        )

    async def _chunks(self, segment: Segment, patience_s: float) -> ChunkSource:
        asked_s = time.monotonic()
        until_s, ends_s = asked_s + patience_s, asked_s + segment.hints.timeout_s
        while True:
            errors = list[VivavoceError]()
            for server in sorted(self._servers, key=lambda server: (not server.up, server.active)):
                begun = False
                left_s = max(0.0, ends_s - time.monotonic())
                asked = replace(segment, hints=replace(segment.hints, timeout_s=left_s))
                try:
                    async with aclosing(server.speech(asked, self.info)) as speech:
                        async for samples in speech:
                            if samples.size:
                                yield samples
                                begun = True
                    yield StopReason.COMPLETE  # a raw stream does not tell a cut end
                    return
                except (BadRequest, DeadlineExceeded):
                    raise
                except VivavoceError as error:
                    if begun:
                        raise
                    errors.append(error)
            # Prefer the error of a busy server to others: it says when to retry.
            busy = next((error for error in errors if isinstance(error, Overloaded)), None)
            if busy is None or time.monotonic() + busy.retry_after_s > until_s:
                raise busy or errors[-1]
            await asyncio.sleep(busy.retry_after_s)
