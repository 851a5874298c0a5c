"""One tree of errors; each class has a stable `code`, and the API edge alone turns it into a
status.

VivavoceError
├── BadRequest            invalid_request     the caller can fix it by changing the field named in `field`
│   ├── UnknownModel      model_not_found
│   ├── UnknownVoice      voice_not_found
│   ├── UnknownRequest    request_not_found
│   ├── Unsupported       unsupported         a real feature that this model or voice does not have
│   └── BodyTooLarge      body_too_large      the request has more bytes than any request needs
├── Unauthorized          invalid_api_key     the request needs a key, and came with none that is known
├── Forbidden             missing_scope       its key does not allow this
├── Overloaded            overloaded          the queue is full; try again in `retry_after_s`
│   └── RateLimited       rate_limited        the key has used up what it may use
├── DeadlineExceeded      deadline_exceeded   the request's time was over before its audio was complete
├── NotReady              not_ready           loading, draining or stopped
├── OutOfMemory           out_of_memory       the model takes more memory than models may have together, or finds none
├── EngineFault           engine_fault        the model failed while it spoke
├── MissingDependency     missing_dependency  an optional package or file is absent; says how to get it
│   └── ModelsMissing     missing_dependency  of all models; the server ends
├── SettingsError         settings            a setting has a wrong value or an unknown name
├── CannotListen          cannot_listen       the address to listen on cannot be had; before the server starts
└── NoRoom                no_room             the disk has no room for what has to be kept, or none that may be written
"""


class VivavoceError(Exception):
    """The root. `message` says what is wrong and what to do next."""

    code = "error"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class BadRequest(VivavoceError):
    """The request cannot be honoured as it is; `field` names the part to change."""

    code = "invalid_request"

    def __init__(self, message: str, *, field: str) -> None:
        super().__init__(message)
        self.field = field


class UnknownModel(BadRequest):
    """No model of that name is installed or configured."""

    code = "model_not_found"


class UnknownVoice(BadRequest):
    """The model has no speaker of that name."""

    code = "voice_not_found"


class UnknownRequest(BadRequest):
    """No request of that id is remembered, or none of this caller's."""

    code = "request_not_found"


class Unsupported(BadRequest):
    """The model or voice does not have this feature."""

    code = "unsupported"


class BodyTooLarge(BadRequest):
    """The body has more bytes than it may."""

    code = "body_too_large"


class Unauthorized(VivavoceError):
    """The request needs an API key and came with none, or with one that is not known."""

    code = "invalid_api_key"


class Forbidden(VivavoceError):
    """The request's API key does not have the scope that this needs."""

    code = "missing_scope"


class Overloaded(VivavoceError):
    """The waiting queue is full."""

    code = "overloaded"

    def __init__(self, message: str, *, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class RateLimited(Overloaded):
    """The API key has as many requests running, or has started as many this minute, as it may."""

    code = "rate_limited"


class DeadlineExceeded(VivavoceError):
    """The time that the request or the server allows was over before the audio was complete."""

    code = "deadline_exceeded"


class NotReady(VivavoceError):
    """The server or the model is loading, draining or stopped."""

    code = "not_ready"


class OutOfMemory(VivavoceError):
    """The model takes more memory than the setting `max_model_memory_gb` leaves to all models
    together.

    With `retry_after_s`: it found none for this request, beside what it had to do at the time.
    """

    code = "out_of_memory"

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class EngineFault(VivavoceError):
    """The model failed while it spoke."""

    code = "engine_fault"


class MissingDependency(VivavoceError):
    """An optional package or data file is absent; the message holds the command that brings it."""

    code = "missing_dependency"


class ModelsMissing(MissingDependency):
    """The server has none of the models that it was started for; what they need is absent."""


class SettingsError(VivavoceError):
    """A setting has a wrong value or an unknown name."""

    code = "settings"


class BindError(VivavoceError):
    """The address to listen on is taken, not this machine's, or not for this user."""

    code = "cannot_listen"


class DiskFull(VivavoceError):
    """The disk has no room for what must be kept, or it may not be written.

    With `retry_after_s`: other answers take the room that there is, until they have been sent.
    """

    code = "no_room"

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
