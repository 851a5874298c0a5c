"""Talk to one speech server over HTTP, and translate its answers.

The server is another vivavoce, which describes its model at `/v1/tts/models`, or any server with
OpenAI's speech API. `remote.engine` decides when it is asked.
"""

import base64
import math
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from email.message import Message

import httpx
import numpy as np
from pydantic import TypeAdapter, ValidationError

from vivavoce.audio import Resampler, from_int16, wav_bytes
from vivavoce.client import wire
from vivavoce.errors import (
    BadRequest,
    EngineFault,
    Forbidden,
    NotReady,
    Overloaded,
    Unauthorized,
    UnknownModel,
    VivavoceError,
)
from vivavoce.remote.stream import ReferenceVoice
from vivavoce.types import EngineInfo, Reference, Samples, Segment

OPENAI_RATE_HZ = 24_000  # of raw PCM, if the answer does not say
FAILED_S = 10.0  # a failed server is tried last for so long
SEEN_S = 2.0  # a server that answered counts as reachable for so long
MARGIN_S = 1.0  # added to the timeout sent: ours ends first, with its own error
LONGEST_S = 86_400  # the largest `timeout_s` of a vivavoce
_AWAY = (502, 503, 504)
_RAW = ("", "audio/pcm", "audio/l16", "audio/x-pcm", "application/octet-stream")
_FIELDS = {"input": "text", "voice": "speaker", "instructions": "instruct", "task_type": "task"}
_INFOS = TypeAdapter(list[EngineInfo])


class RemoteServer:
    """A speech server and its recent state. `model` is the model's name there."""

    def __init__(self, url: str, model: str, http: httpx.AsyncClient) -> None:
        self.url = url.rstrip("/").removesuffix("/v1")
        self.model = model
        self.active = 0  # segments that it speaks for us
        self.ours = True  # a vivavoce; False: it may not know our fields
        self._http = http
        self._failed_s = self._unreachable_s = self._answered_s = -math.inf

    @property
    def up(self) -> bool:
        """True if it has not failed recently."""
        return time.monotonic() - self._failed_s > FAILED_S

    @property
    def recently_seen(self) -> bool:
        """True if it answered in the last `SEEN_S` seconds, and not failed since."""
        seen_s = time.monotonic() - self._answered_s
        return self._answered_s > self._unreachable_s and seen_s < SEEN_S

    @property
    def unreachable(self) -> bool:
        """True if it was gone, or not ready, in the last `FAILED_S` seconds."""
        return time.monotonic() - self._unreachable_s < FAILED_S

    def mark_failed(self) -> None:
        """Let the server be tried last for `FAILED_S` seconds."""
        self._failed_s = time.monotonic()

    async def info(self) -> EngineInfo | None:
        """Return its description of the model, None if no vivavoce. Raise as `speech` does."""
        response = await self._get("v1/tts/models")
        if not response.is_success:
            error = self._error(response)
            if isinstance(error, UnknownModel) or response.status_code not in (404, 405):
                raise error
        try:
            return _INFOS.validate_python(response.json()["models"])[0]
        except (ValidationError, ValueError, LookupError, TypeError):
            self.ours = False
            return None

    async def answers(self) -> bool:
        """True if the server says that it would speak now."""
        ready = False
        with suppress(NotReady, EngineFault):  # other servers have no such path, and are not away
            ready = (await self._get("health/ready")).status_code not in _AWAY
        if ready:
            self._answered_s = time.monotonic()
        else:
            self._unreachable_s = time.monotonic()
            self.mark_failed()
        return ready

    async def voices(self) -> Sequence[str]:
        """Return the names of its voices, empty if it lists them in no known shape."""
        response = await self._get("v1/audio/voices")
        try:
            found = response.json() if response.is_success else []
        except ValueError:
            return ()
        entries = found.get("voices") if isinstance(found, dict) else found
        names = [
            entry.get("id") or entry.get("name") if isinstance(entry, dict) else entry
            for entry in entries or ()
        ]
        return tuple(dict.fromkeys(name for name in names if isinstance(name, str) and name))

    async def speech(self, segment: Segment, info: EngineInfo) -> AsyncGenerator[Samples]:
        """Yield the samples of `segment` as they come, at the rate of `info`.

        Closing the generator closes the connection. Raise `BadRequest` for a segment that the
        server rejects, `Overloaded`, `NotReady` if it does not answer, `DeadlineExceeded` if it had
        no audio within the segment's timeout, and `EngineFault` if it fails.
        """
        self.active += 1
        try:
            with self._failures():
                async with self._http.stream(
                    "POST", f"{self.url}/v1/audio/speech", json=self._body(segment, info)
                ) as response:
                    if not response.is_success:
                        await response.aread()
                        raise self._error(response)
                    self._answered_s = time.monotonic()
                    resampler = Resampler(self._rate_hz(response), info.sample_rate_hz)
                    async for samples in self._samples(response):
                        yield resampler.write(samples)
            yield resampler.finish()
        except NotReady:
            self._unreachable_s = time.monotonic()
            self.mark_failed()
            raise
        except EngineFault:
            self._answered_s = -math.inf  # it may be gone
            self.mark_failed()
            raise
        else:
            self._failed_s = -math.inf
        finally:
            self.active -= 1

    def _body(self, segment: Segment, info: EngineInfo) -> dict[str, object]:
        """Return the JSON body for `segment`: OpenAI's fields, and ours that `info` supports."""
        can = info.capabilities
        body: dict[str, object] = {
            "model": self.model,
            "input": segment.text,
            "voice": segment.voice,
            "response_format": "pcm",
            "stream": True,  # some servers stream only when asked; a vivavoce always does
            "language": segment.language if self.ours else None,
            "priority": segment.hints.priority if self.ours else None,
            "timeout_s": self._timeout_s(segment),
            "instructions": segment.instruct if can.instruct else None,
            "seed": segment.seed if can.seed else None,
            # Each part of a text that was split once more would be another designed voice.
            "unsplit": True if self.ours and info.task == "voice_design" else None,
            **(asdict(segment.sampling) if can.sampling else {}),
        }
        if isinstance(segment.prepared, ReferenceVoice):
            body |= _recording(segment.prepared.reference)
        return {name: value for name, value in body.items() if value is not None}

    async def _get(self, path: str) -> httpx.Response:
        with self._failures():
            return await self._http.get(f"{self.url}/{path}", params={"model": self.model})

    def _timeout_s(self, segment: Segment) -> float | None:
        """Return the timeout to send, or None for a server without such a field."""
        timeout_s = segment.hints.timeout_s + MARGIN_S
        return timeout_s if self.ours and timeout_s <= LONGEST_S else None

    @contextmanager
    def _failures(self) -> Iterator[None]:
        """Turn connection errors into errors that name the server."""
        try:
            yield
        except (httpx.ConnectError, httpx.TimeoutException) as error:
            raise NotReady(
                f"the speech server at {self.url!r} does not answer "
                f"({error or type(error).__name__}): check that it runs, and the setting 'remote'"
            ) from error
        except httpx.HTTPError as error:
            raise EngineFault(
                f"the speech server at {self.url!r} broke off ({error or type(error).__name__}): "
                "see its log, and try again"
            ) from error

    async def _samples(self, response: httpx.Response) -> AsyncIterator[Samples]:
        rest = b""
        async for chunk in response.aiter_bytes():
            data = rest + chunk
            whole = len(data) // 2 * 2
            rest = data[whole:]
            if whole:
                yield from_int16(np.frombuffer(data[:whole], "<i2").astype(np.int16))
        if rest:
            raise EngineFault(
                f"the speech server at {self.url!r} ended in the middle of a sample: try again"
            )

    def _rate_hz(self, response: httpx.Response) -> int:
        """Return the rate of the raw audio in `response`. Raise `EngineFault` for other content."""
        header = Message()
        header["content-type"] = response.headers.get("content-type", "")
        kind = header.get_content_type() if header["content-type"] else ""
        channels = str(header.get_param("channels", "1"))
        if kind not in _RAW or channels != "1":
            raise EngineFault(
                f"the speech server at {self.url!r} answered with {header['content-type']!r} when "
                "asked for raw mono 'pcm': choose a server or a model that has it"
            )
        rate = response.headers.get("x-sample-rate") or str(header.get_param("rate", ""))
        return int(rate) if rate.isdecimal() and 8_000 <= int(rate) <= 192_000 else OPENAI_RATE_HZ

    def _error(self, response: httpx.Response) -> VivavoceError:
        """Return the error of `response`, by its code from a vivavoce, else its status."""
        try:
            wire.successful(response)
        except BadRequest as error:
            error.field = _FIELDS.get(error.field, error.field)
            return error
        except VivavoceError as error:
            # A wrong key of this server there is no error of our caller.
            if not (type(error) is VivavoceError or isinstance(error, Unauthorized | Forbidden)):
                return error
        return self._by_status(response)

    def _by_status(self, response: httpx.Response) -> VivavoceError:
        status, body = response.status_code, response.text[:300]
        what = f"the speech server at {self.url!r} answered {status}"
        if status == 429:
            after = response.headers.get("retry-after", "")
            after_s = float(after) if after.isdecimal() else 1.0
            return Overloaded(f"{what}: try again soon", retry_after_s=after_s)
        if status in _AWAY:
            return NotReady(f"{what}: try again when it is back ({body!r})")
        if status in (401, 403):
            problem = "it needs another key than the setting 'remote_api_key' has"
            return EngineFault(f"{what}: {problem}")
        if status in (400, 413, 422):
            return BadRequest(f"{what} to this text, voice or model: {body!r}", field="text")
        return EngineFault(f"{what}: check the setting 'remote', and that server's log ({body!r})")


def _recording(reference: Reference) -> dict[str, object]:
    """Return the fields that send a recording to be cloned."""
    wav = wav_bytes(reference.samples, reference.sample_rate_hz)
    words = {"x_vector_only": True} if reference.text is None else {"ref_text": reference.text}
    return {"voice": None, "ref_audio": base64.b64encode(wav).decode("ascii"), **words}
