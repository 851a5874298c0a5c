"""An engine over other speech servers: the least busy of those with the same model speaks. It knows
no HTTP.

A segment that a server refuses, or fails to begin, is asked of the next one; once its first audio
has come, what goes wrong ends it. Servers that failed of late are asked last.
"""

import asyncio
import logging
import time
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace

import httpx

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

    `timeout_s` bounds the wait for each next byte of a server. `voices` and `languages` are those
    of servers that list none. At most `max_queued_requests` requests for a model wait for their
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
            headers={"Authorization": f"Bearer {options.api_key}"} if options.api_key else {},
            timeout=httpx.Timeout(options.timeout_s, connect=CONNECT_S),
            # Idle connections are closed before a server does it, which a request would find out
            # too late.
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
        assert self._info is not None, "what servers tell is known once the engine has started"
        return self._info

    @property
    def peers(self) -> Sequence[PeerState]:
        return [
            PeerState(server.url, up=server.up, speaking=server.active) for server in self._servers
        ]

    async def start(self) -> None:
        """Ask the servers what their model is. Raises `EngineFault` if none of them answers."""
        found = await asyncio.gather(*map(self._ask, self._servers))
        infos = [info for info in found if isinstance(info, EngineInfo)]
        if not infos:
            await self._http.aclose()
            said = "; ".join(error.message for error in found if isinstance(error, VivavoceError))
            raise EngineFault(f"no server speaks for model {self._name!r}: {said}")
        self._info = remote_info(infos[0], self._name)

    async def check(self) -> None:
        """Raise `NotReady` if no server answers; asks them only where none has answered of late."""
        if any(server.recently_seen for server in self._servers):
            return
        answers = await asyncio.gather(
            *(server.answers() for server in self._servers if not server.unreachable)
        )
        if not any(answers):
            raise NotReady(
                f"no server of model {self._name!r} answers: see whether they run, and the setting 'remote'"
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
        """What can be said of a server of OpenAI's speech API that tells nothing of its model."""
        voices = await server.voices() or self._voices
        return EngineInfo(
            name=self._name,
            sample_rate_hz=OPENAI_RATE_HZ,
            languages=self._languages,
            voices=tuple(
                Voice(id=voice, name=voice, languages=self._languages) for voice in voices
            ),
            capabilities=Capabilities(instruct=True),
        )

    async def _chunks(self, segment: Segment, patience_s: float) -> ChunkSource:
        asked_s = time.monotonic()
        until_s, ends_s = asked_s + patience_s, asked_s + segment.claim.within_s
        while True:
            refused = list[VivavoceError]()
            for server in sorted(self._servers, key=lambda server: (not server.up, server.active)):
                begun = False
                try:
                    async with aclosing(
                        server.speech(_with_time_until(ends_s, segment), self.info)
                    ) as speech:
                        async for samples in speech:
                            if samples.size:
                                yield samples
                                begun = True
                    yield StopReason.COMPLETE  # a cut is told to the end of a whole file alone
                    return
                except (BadRequest, DeadlineExceeded):
                    raise
                except VivavoceError as error:
                    if begun:
                        raise
                    refused.append(error)
            # Busy is better news than broken: it says when to come again.
            reason = next(
                (error for error in refused if isinstance(error, Overloaded)), refused[-1]
            )
            if (
                not isinstance(reason, Overloaded)
                or time.monotonic() + reason.retry_after_s > until_s
            ):
                raise reason
            await asyncio.sleep(reason.retry_after_s)


def _with_time_until(ends_s: float, segment: Segment) -> Segment:
    """Return `segment` with as many seconds as there are now until `ends_s` of the monotonic clock."""
    return replace(
        segment, claim=replace(segment.claim, within_s=max(0.0, ends_s - time.monotonic()))
    )
