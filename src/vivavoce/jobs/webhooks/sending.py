"""Send the messages that wait in a store, so that a restart loses none.

- Redirects are not followed. The address that was checked is the one that is used.
- Each message has a bounded number of tries, which take longer and longer.
- Servers with the same store do not send a message twice: one of them claims it for a while.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Final, Protocol

import httpx

from vivavoce.errors import BadRequest, VivavoceError
from vivavoce.jobs.webhooks.hosts import Hosts, host_of
from vivavoce.jobs.webhooks.messages import Message, signed_headers

log = logging.getLogger(__name__)

# Seconds between the tries, as the specification of Standard Webhooks proposes: a day in all.
WAITS_S: Final = (5, 300, 1_800, 7_200, 18_000, 36_000, 36_000)
TIMEOUT_S: Final = 15.0  # of one try, with the resolution of the name
AT_ONCE: Final = 16
LEASE_S: Final = 60.0  # longer than one try: another server sends what one was killed over
LOOK_EVERY_S: Final = 2.0  # another process may have changed a job
_GONE: Final = 410  # the receiver wants no more


class Outbox(Protocol):
    """Where messages wait. Its methods block."""

    def claim_messages(self, limit: int, now_s: float, until_s: float) -> Sequence[Message]:
        """Return messages that are due. Nobody else is given them before `until_s`."""

    def postpone_message(self, message: Message) -> None:
        """Store the new `tries` and `due_s` of a message."""

    def remove_message(self, id: str) -> None:
        """Remove a message that was delivered or given up."""


class Webhooks:
    """Sends the messages of an outbox as long as `run` runs."""

    def __init__(
        self, outbox: Outbox, hosts: Hosts, *, clock_s: Callable[[], float] = time.time
    ) -> None:
        self.hosts = hosts
        self._outbox = outbox
        self._clock_s = clock_s

    async def run(self) -> None:
        """Send what is due, again and again. A receiver that hangs keeps no other waiting."""
        trying = set[asyncio.Task[None]]()
        async with httpx.AsyncClient(follow_redirects=False, trust_env=False) as client:
            try:
                while True:
                    for message in await self._due(AT_ONCE - len(trying)):
                        trying.add(asyncio.create_task(self._try(client, message)))
                    if not trying:
                        await asyncio.sleep(LOOK_EVERY_S)
                        continue
                    _, trying = await asyncio.wait(
                        trying, timeout=LOOK_EVERY_S, return_when=asyncio.FIRST_COMPLETED
                    )
            finally:
                for task in trying:
                    task.cancel()
                await asyncio.gather(*trying, return_exceptions=True)

    async def _due(self, limit: int) -> Sequence[Message]:
        """Return what is due now, as far as there are places for it."""
        now_s = self._clock_s()
        with _logged():
            return await asyncio.to_thread(
                self._outbox.claim_messages, limit, now_s, now_s + LEASE_S
            )
        return ()

    async def _try(self, client: httpx.AsyncClient, message: Message) -> None:
        """Send a message once. Keep it for later if that fails, and it has tries left."""
        with _logged():
            await self._try_once(client, message)

    async def _try_once(self, client: httpx.AsyncClient, message: Message) -> None:
        try:
            status: int | None = await self._send(client, message)
            problem = f"the answer was {status}"
        except BadRequest as error:  # the settings have changed
            status, problem = _GONE, error.message
        except (OSError, httpx.HTTPError, UnicodeError) as error:
            status, problem = None, str(error) or type(error).__name__
        if status is not None and 200 <= status < 300:
            await asyncio.to_thread(self._outbox.remove_message, message.id)
        elif status == _GONE or message.tries >= len(WAITS_S):
            log.warning("gave up the webhook %s after %d tries: %s", message.id, message.tries + 1,
                        problem)  # fmt: skip
            await asyncio.to_thread(self._outbox.remove_message, message.id)
        else:
            due_s = self._clock_s() + WAITS_S[message.tries]
            later = replace(message, tries=message.tries + 1, due_s=due_s)
            log.info("the webhook %s waits for try %d: %s", message.id, later.tries + 1, problem)
            await asyncio.to_thread(self._outbox.postpone_message, later)

    async def _send(self, client: httpx.AsyncClient, message: Message) -> int:
        """Return the status of the answer, whose body is not read."""
        parts = self.hosts.check(message.url)
        async with asyncio.timeout(TIMEOUT_S):
            # The address that was checked is the one that is used, whatever the name says next.
            address = await self.hosts.address(parts)
            headers = {**signed_headers(message, self._clock_s()), "Host": parts.netloc.decode()}
            async with client.stream(
                "POST",
                parts.copy_with(host=address),
                content=message.body.encode(),
                headers=headers,
                timeout=TIMEOUT_S,
                extensions={"sni_hostname": host_of(parts)},
            ) as answer:
                return answer.status_code


@contextmanager
def _logged() -> Iterator[None]:
    """Log what keeps messages waiting, and go on."""
    try:
        yield
    except VivavoceError as error:  # such as a full disk
        log.error("webhooks wait, because %s", error.message)
    except Exception:  # the top of the tasks that send messages
        log.exception("webhooks wait, because of an internal error")
