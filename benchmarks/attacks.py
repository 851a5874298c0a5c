"""Attack a server on this machine in one of several ways, for a limited time.

    python -m benchmarks.attacks NAME PORT SECONDS [--tls]

- It runs in a process of its own, so that it does not delay the process that measures.
- It prints the number of each outcome.
"""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from itertools import cycle, islice
from typing import Final

from benchmarks import attack_requests as requests
from benchmarks.attack_requests import Request
from benchmarks.load import now
from benchmarks.wire import Address, Response, send

Outcomes = Counter[str]
ANSWER_WITHIN_S: Final = 30.0
REFUSED: Final = frozenset({"400", "413", "422", "429", "503", "closed"})
SILENT: Final = frozenset({"open", "closed", "not connected"})
SPOKEN: Final = frozenset({"200"})
_CHUNKS_PER_S: Final = 2_000_000 // len(requests.CHUNK)
_STEP_S: Final = 0.05
_OPENING: Final = 100  # connections that are opened at once


@dataclass(frozen=True, slots=True)
class Attack:
    """One way to attack a kind of server.

    Outcomes that are not in `allowed` are failures. `descriptors` is the value of `ulimit -n`.
    `files_mb` is the limit for temporary files.
    """

    what: str
    run: Callable[[Address, float], Coroutine[None, None, Outcomes]]
    allowed: frozenset[str] = REFUSED | {"200"}
    models: Sequence[str] = ("hibari",)
    files_mb: float | None = None
    descriptors: int | None = None
    tls: bool = False


async def _nothing(address: Address, seconds: float) -> Outcomes:
    await asyncio.sleep(seconds)
    return Outcomes()


async def _rounds(
    made: Callable[[], Sequence[Request]],
    at_once: int,
    takes_s: float,
    address: Address,
    seconds: float,
) -> Outcomes:
    """Post requests in rounds of `at_once`, at least a second apart.

    Only the audio that arrives within `takes_s` is read.
    """
    turns, outcomes, until_s = cycle(made()), Outcomes(), now() + seconds
    while (began_s := now()) < until_s:
        calls = [_post(address, request, takes_s) for request in islice(turns, at_once)]
        outcomes.update(await asyncio.gather(*calls))
        await asyncio.sleep(max(0.0, min(began_s + 1.0, until_s) - now()))
    return outcomes


async def _post(address: Address, request: Request, takes_s: float) -> str:
    """Return the status of the answer, or the reason for a missing one."""
    status = 0
    try:
        async with (
            asyncio.timeout(ANSWER_WITHIN_S),
            send(address, "POST", request.path, request.body()) as response,
            aclosing(response.pieces()) as pieces,
        ):
            status = response.status
            if status == 200:
                await _take(pieces, takes_s)
            return _told(response)
    except (ConnectionError, asyncio.IncompleteReadError):
        return f"{status} broken off" if status else "closed"
    except (OSError, TimeoutError):
        return f"no answer in {ANSWER_WITHIN_S:g} s"


def _told(response: Response) -> str:
    """Return the status, marked if it lacks a Retry-After header."""
    lacks = response.status in (429, 503) and "retry-after" not in response.headers
    return f"{response.status}{' without Retry-After' if lacks else ''}"


async def _take(pieces: AsyncIterator[bytes], takes_s: float) -> None:
    """Read the first chunk, and the other chunks within `takes_s`."""
    until_s = now() + takes_s
    async for _ in pieces:
        if now() >= until_s:
            return


async def _silent(count: int, address: Address, seconds: float) -> Outcomes:
    """Hold `count` connections without sending anything, not even a TLS handshake."""
    import resource  # Windows has none

    until_s = now() + seconds
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    gate = asyncio.Semaphore(_OPENING)

    async def hold() -> str:
        try:
            async with gate, asyncio.timeout(seconds):
                reader, writer = await asyncio.open_connection(address.host, address.port)
        except (OSError, TimeoutError):
            return "not connected"
        try:
            async with asyncio.timeout_at(asyncio.get_running_loop().time() + until_s - now()):
                await reader.read(1)
            return "closed"
        except OSError as error:
            return "open" if isinstance(error, TimeoutError) else "closed"
        finally:
            writer.close()

    return Outcomes(await asyncio.gather(*(hold() for _ in range(count))))


async def _chunks(address: Address, seconds: float) -> Outcomes:
    """Send a body in chunks of one byte at a steady rate. Start again after a rejection."""
    outcomes, until_s = Outcomes(), now() + seconds
    while now() < until_s:
        outcomes[await _chunked(address, until_s)] += 1
        await asyncio.sleep(min(1.0, max(0.0, until_s - now())))
    return outcomes


async def _chunked(address: Address, until_s: float) -> str:
    """Return the status of the rejection, or the other end of the request."""
    reader, writer = await asyncio.open_connection(address.host, address.port)
    answer = asyncio.create_task(reader.readuntil(b"\r\n"))
    due_s, block = now(), requests.CHUNK * int(_CHUNKS_PER_S * _STEP_S)
    try:
        writer.write(requests.chunked_head(f"{address.host}:{address.port}"))
        while not answer.done() and now() < until_s:
            if writer.transport.get_write_buffer_size() < len(block):
                writer.write(block)
            due_s = max(due_s + _STEP_S, now())
            await asyncio.sleep(due_s - now())
        return (await answer).split()[1].decode("ascii") if answer.done() else "still sending"
    except (OSError, asyncio.IncompleteReadError):
        return "closed"
    finally:
        answer.cancel()
        writer.transport.abort()


async def _whole(count: int, address: Address, seconds: float) -> Outcomes:
    """Request `count` non-streamed answers to the longest text and read no audio."""

    async def hold() -> str:
        told = "under way"
        try:
            async with (
                asyncio.timeout(seconds),
                send(address, "POST", requests.NATIVE, requests.LONG_WHOLE.body()) as response,
            ):
                told = _told(response)
                if response.status == 200:
                    await asyncio.sleep(seconds)
                return told
        except TimeoutError:
            return told
        except (OSError, asyncio.IncompleteReadError):
            return "closed"

    return Outcomes(await asyncio.gather(*(hold() for _ in range(count))))


ATTACKS: Final[Mapping[str, Attack]] = {
    "none": Attack("No attack, for reference.", _nothing),
    "texts": Attack(
        "Texts of 100,000 characters, runs of one token each, four at once.",
        partial(_rounds, lambda: requests.TEXTS, 4, 0.0),
    ),
    "silence-tls": Attack(
        "1,100 connections over which nothing comes, also no handshake; `ulimit -n 1024`, https.",
        partial(_silent, 1100),
        SILENT,
        descriptors=1024,
        tls=True,
    ),
    "silence": Attack(
        "300 connections over which nothing is said; `ulimit -n 256`, http.",
        partial(_silent, 300),
        SILENT,
        descriptors=256,
    ),
    "bodies": Attack(
        "Bodies of 12 and 1.9 MB: unknown fields, long arrays, deep nesting; two at once.",
        partial(_rounds, lambda: requests.BODIES, 2, 0.0),
    ),
    "instructions": Attack(
        "Instructions, and words of a recording, of 7 and 1.9 MB; three at once.",
        partial(_rounds, requests.instructions, 3, 0.0),
    ),
    "instructions-qwen": Attack(
        "The same for tiny random Qwen3-TTS checkpoints.",
        partial(_rounds, requests.qwen_instructions, 3, 0.0),
    ),
    "chunks": Attack(
        "A body in chunks of one byte, 2 MB/s on the wire.",
        _chunks,
        REFUSED | {"408", "still sending"},
    ),
    "numbers": Attack(
        "Lists of numbers, groups of digits, long numbers; two at once, each heard for 15 s.",
        partial(_rounds, lambda: requests.NUMBERS, 2, 15.0),
        SPOKEN,
    ),
    "names": Attack(
        "A remote server's voice that is called 中文女; four requests a second.",
        partial(_rounds, lambda: requests.FAR_AWAY, 4, 15.0),
        SPOKEN,
    ),
    "disk": Attack(
        "Ten whole answers to texts of 100,000 characters at once, of which nothing is read.",
        partial(_whole, 10),
        frozenset({"200", "429", "503", "under way"}),
        models=("hibari", "tone"),
        files_mb=50.0,
    ),
}


def main() -> None:
    """Run one attack and print its outcomes as JSON."""
    name, port, seconds, *options = sys.argv[1:]
    address = Address("127.0.0.1", int(port), "--tls" in options)
    print(json.dumps(asyncio.run(ATTACKS[name].run(address, float(seconds)))))


if __name__ == "__main__":
    main()
