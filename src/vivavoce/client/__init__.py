"""Speak through a running server, with blocking calls (`Client`) or asyncio (`AsyncClient`).

The package knows the native HTTP API and the tree of errors, and nothing of the server's inside.
Both clients share the functions of `wire`, which build requests and read answers.
"""

from vivavoce.client.answers import (
    AsyncAudioStream,
    AsyncTimedStream,
    Audio,
    AudioStream,
    ExplainedSegment,
    ExplainedWord,
    Explanation,
    Health,
    MarkTime,
    ModelEntry,
    ModelState,
    Outcome,
    SoundTime,
    SpeechEnd,
    SpeechFacts,
    TimedAudio,
    TimedChunk,
    TimedStream,
    VoiceEntry,
    WordTime,
)
from vivavoce.client.asynchronous import AsyncClient
from vivavoce.client.blocking import Client
from vivavoce.client.jobs import (
    AsyncJobs,
    ChapterEntry,
    FileEntry,
    JobEntry,
    JobOptions,
    JobProgress,
    Jobs,
    SentenceEntry,
)
from vivavoce.client.live import Heard, LiveChunk, LiveSpeech
from vivavoce.client.voice_calls import (
    Consent,
    DesignOptions,
    FormerConsent,
    PreviewOptions,
    RecordingCheck,
    SavedVoice,
    VoiceFacts,
    VoicePreview,
    VoiceTerms,
)
from vivavoce.client.voices import AsyncVoices, Voices
from vivavoce.client.wire import DEFAULT_URL, SpeechOptions, TimedOptions

__all__ = [
    "DEFAULT_URL", "AsyncAudioStream", "AsyncClient", "AsyncJobs", "AsyncTimedStream",
    "AsyncVoices", "Audio", "AudioStream", "ChapterEntry", "Client", "Consent", "DesignOptions",
    "ExplainedSegment", "ExplainedWord", "Explanation", "FileEntry", "FormerConsent", "Health",
    "Heard", "JobEntry", "JobOptions", "JobProgress", "Jobs", "LiveChunk", "LiveSpeech",
    "MarkTime", "ModelEntry", "ModelState", "Outcome", "PreviewOptions", "RecordingCheck",
    "SavedVoice", "SentenceEntry", "SoundTime", "SpeechEnd", "SpeechFacts", "SpeechOptions",
    "TimedAudio",
    "TimedChunk", "TimedOptions", "TimedStream", "VoiceEntry", "VoiceFacts", "VoicePreview",
    "VoiceTerms", "Voices", "WordTime",
]  # fmt: skip
