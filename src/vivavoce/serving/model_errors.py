"""Convert exceptions raised by models into `VivavoceError`s, and serialize those for another
process.
"""

import logging
from dataclasses import dataclass
from typing import Any

from vivavoce.errors import EngineFault, NotReady, OutOfMemory, VivavoceError

log = logging.getLogger(__name__)

RETRY_AFTER_S = 5.0  # after an out-of-memory
# torch on a CPU, torch on CUDA, onnxruntime and C++. torch's class cannot be had without importing
# torch, and onnxruntime has none.
_NO_MEMORY = ("can't allocate memory", "out of memory", "Failed to allocate memory", "bad_alloc")


@dataclass(frozen=True, slots=True)
class SerializedError:
    """An error in a form that can be pickled: exceptions with named arguments cannot be."""

    kind: type[VivavoceError]
    values: dict[str, Any]  # the constructor's arguments, which each error keeps as attributes

    @classmethod
    def of(cls, error: VivavoceError) -> "SerializedError":
        return cls(type(error), vars(error))

    def error(self) -> VivavoceError:
        return self.kind(**self.values)


def clear_tracebacks(error: BaseException | None) -> None:
    """Drop the tracebacks of `error` and its causes.

    Their frames would keep weights and the results of a step in memory.
    """
    while error is not None:
        error.__traceback__ = None
        error = error.__cause__ or error.__context__


def to_engine_error(error: Exception, what: str) -> VivavoceError:
    """Return `error` as a `VivavoceError`.

    Any other exception is logged, and becomes an error that says `what` the model did. An
    `OutOfMemory` made here has a `retry_after_s`: the model's progress is not known.
    """
    if isinstance(error, VivavoceError):
        return error
    log.error("the model %s", what, exc_info=error)
    fault: VivavoceError = EngineFault(f"the model {what}: {error}")
    if is_out_of_memory(error):
        fault = retryable_oom(OutOfMemory(f"the model {what}: there was no memory; try again soon"))
    fault.__cause__ = error
    return fault


def is_out_of_memory(error: Exception) -> bool:
    """True if a library raised `error` because it could not allocate memory."""
    return isinstance(error, MemoryError) or any(words in str(error) for words in _NO_MEMORY)


def retryable_oom(error: OutOfMemory) -> OutOfMemory:
    """Return `error` with the `retry_after_s` for the caller of a request."""
    return OutOfMemory(error.message, retry_after_s=RETRY_AFTER_S)


def stopping_error() -> NotReady:
    """Return the error of requests to an engine that is being stopped."""
    return NotReady("the model is being stopped; try again when the server is back")
