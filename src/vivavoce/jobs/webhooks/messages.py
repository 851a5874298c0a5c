"""Word and sign messages about jobs."""

import base64
import binascii
import hashlib
import hmac
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from vivavoce.errors import BadRequest

_PREFIX: Final = "whsec_"
_MIN_SECRET, _MAX_SECRET = 24, 64  # bytes, as the specification says


@dataclass(frozen=True, slots=True)
class Webhook:
    """Who is to be told of a job, and the secret that signs it."""

    url: str
    secret: str


@dataclass(frozen=True, slots=True)
class Message:
    """A message that waits for its next try, `due_s` in Unix time."""

    id: str  # the same in each try, so that a receiver can drop copies
    url: str
    secret: str
    body: str
    tries: int = 0
    due_s: float = 0.0


def check_secret(secret: str) -> bytes:
    """Return the bytes of a secret. Raises `BadRequest` if it is not one of Standard Webhooks."""
    with suppress(binascii.Error, ValueError):
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
        if secret.startswith(_PREFIX) and _MIN_SECRET <= len(key) <= _MAX_SECRET:
            return key
    raise BadRequest(  # without the value, which is secret
        f"webhook_secret is not one of Standard Webhooks: send {_PREFIX} and {_MIN_SECRET} to "
        f"{_MAX_SECRET} random bytes in base64",
        field="webhook_secret",
    )


def signed_headers(message: Message, now_s: float) -> dict[str, str]:
    """Return the headers that show a message to be ours."""
    stamp = str(int(now_s))
    signed = f"{message.id}.{stamp}.{message.body}".encode()
    digest = hmac.digest(check_secret(message.secret), signed, hashlib.sha256)
    return {
        "Content-Type": "application/json",
        "User-Agent": "vivavoce",
        "webhook-id": message.id,
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode('ascii')}",
    }
