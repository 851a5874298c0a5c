"""Speaks through a running vivavoce server, blocking (`Client`) or with asyncio (`AsyncClient`).

Knows the native HTTP API and the tree of errors, and nothing of the server's inside. Requests are built and answers
are read by plain functions (`wire`) that both clients share; the two differ only in how they wait.
"""

from vivavoce.client.answers import (
    AsyncAudioStream,
    Audio,
    AudioStream,
    Health,
    ModelEntry,
    ModelState,
    Outcome,
    SpeechFacts,
    VoiceEntry,
)
from vivavoce.client.asynchronous import AsyncClient
from vivavoce.client.blocking import Client
from vivavoce.client.wire import DEFAULT_URL

__all__ = [
    "DEFAULT_URL",
    "AsyncAudioStream",
    "AsyncClient",
    "Audio",
    "AudioStream",
    "Client",
    "Health",
    "ModelEntry",
    "ModelState",
    "Outcome",
    "SpeechFacts",
    "VoiceEntry",
]
