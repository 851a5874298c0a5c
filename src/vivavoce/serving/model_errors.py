"""What models raise, as errors of ours; and these as they are kept and sent: without the frames
that they passed, as values that another process can read.
"""

import logging
from dataclasses import dataclass
from typing import Any

from vivavoce.errors import EngineFault, OutOfMemory, VivavoceError

log = logging.getLogger(__name__)

RETRY_AFTER_S = 5.0  # for whom there was no memory
# torch on a CPU, torch on CUDA, onnxruntime and C++: none of them has a class for it that is had
# without importing it, and the first and the third have none at all.
_NO_MEMORY = ("can't allocate memory", "out of memory", "Failed to allocate memory", "bad_alloc")


@dataclass(frozen=True, slots=True)
class SerializedError:
    """What becomes the same error in another process: exceptions with named arguments cannot be pickled."""

    kind: type[VivavoceError]
    values: dict[
        str, Any
    ]  # the constructor's arguments, which every error of ours keeps as its attributes

    @classmethod
    def of(cls, error: VivavoceError) -> "SerializedError":
        return cls(type(error), vars(error))

    def error(self) -> VivavoceError:
        return self.kind(**self.values)


def clear_tracebacks(error: BaseException | None) -> None:
    """Drop the frames that `error` and its causes have passed: weights and what a step had computed are in them."""
    while error is not None:
        error.__traceback__ = None
        error = error.__cause__ or error.__context__


def to_engine_error(error: Exception, what: str) -> VivavoceError:
    """Return `error` if it is one of ours, else one that says `what` the model did, and is logged.

    An `OutOfMemory` that comes of it has a `retry_after_s`: how far the model had come is not
    known.
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
    """True if a library raised `error` because it was given no memory."""
    return isinstance(error, MemoryError) or any(words in str(error) for words in _NO_MEMORY)


def retryable_oom(error: OutOfMemory) -> OutOfMemory:
    """Return `error` as the caller of a request is told of it."""
    return OutOfMemory(error.message, retry_after_s=RETRY_AFTER_S)
