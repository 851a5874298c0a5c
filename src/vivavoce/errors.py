"""Define one tree of errors, each class with a stable `code`.

Only the HTTP layer turns an error into a status.

VivavoceError
├── BadRequest            invalid_request     the caller can fix it by changing `field`
│   ├── UnknownModel      model_not_found
│   ├── UnknownVoice      voice_not_found
│   ├── UnknownConsent    consent_not_found
│   ├── UnknownRequest    request_not_found
│   ├── UnknownRule       rule_not_found
│   ├── UnknownJob        job_not_found
│   ├── WrongState        wrong_state         the job does not allow this as it is now
│   ├── Unsupported       unsupported         this model or voice lacks the feature
│   └── BodyTooLarge      body_too_large      the request has too many bytes
├── Unauthorized          invalid_api_key     the request has no valid API key
├── Forbidden             missing_scope       the request's key does not allow this
│   ├── JobLimit          job_limit           the key has as many jobs or bytes as it may
│   └── ConsentEnded      consent_ended       the person of a voice no longer agrees to its use
├── Overloaded            overloaded          the queue is full, try again in `retry_after_s`
│   └── RateLimited       rate_limited        the key has reached its limit
├── DeadlineExceeded      deadline_exceeded   the request took too long
├── NotReady              not_ready           loading, draining or stopped
├── OutOfMemory           out_of_memory       the model needs more memory than there is
├── EngineFault           engine_fault        the model failed while it spoke
├── MissingDependency     missing_dependency  an optional package or file is missing
│   └── ModelsMissing     missing_dependency  every model lacks something, and the server ends
├── SettingsError         settings            a setting has a wrong value or an unknown name
├── BindError             cannot_listen       the server cannot listen on its address
├── DiskFull              no_room             the disk is full or not writable
└── SigningFailed         signing_failed      a file cannot be signed, and has to be
"""


class VivavoceError(Exception):
    """The root of all errors. `message` says what is wrong and what to do next."""

    code = "error"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class BadRequest(VivavoceError):
    """An invalid request. `field` names the part to change."""

    code = "invalid_request"

    def __init__(self, message: str, *, field: str) -> None:
        super().__init__(message)
        self.field = field


class UnknownModel(BadRequest):
    """A model that is not installed or configured."""

    code = "model_not_found"


class UnknownVoice(BadRequest):
    """A speaker that the model does not have."""

    code = "voice_not_found"


class UnknownConsent(BadRequest):
    """No such recorded consent is kept for the caller."""

    code = "consent_not_found"


class UnknownRequest(BadRequest):
    """A request id that is unknown, or of another caller."""

    code = "request_not_found"


class UnknownRule(BadRequest):
    """A word that no rule of the lexicon is for."""

    code = "rule_not_found"


class UnknownJob(BadRequest):
    """A job id that is unknown, or of another key."""

    code = "job_not_found"


class WrongState(BadRequest):
    """Something that a job does not allow in its present state."""

    code = "wrong_state"


class Unsupported(BadRequest):
    """A feature that the model or voice does not have."""

    code = "unsupported"


class BodyTooLarge(BadRequest):
    """A body with too many bytes."""

    code = "body_too_large"


class Unauthorized(VivavoceError):
    """A request without an API key, or with an unknown one."""

    code = "invalid_api_key"


class Forbidden(VivavoceError):
    """A request whose API key lacks the scope."""

    code = "missing_scope"


class JobLimit(Forbidden):
    """A job beyond the number or the disk space that a key may have."""

    code = "job_limit"


class ConsentEnded(Forbidden):
    """A saved voice whose consent has expired or was revoked."""

    code = "consent_ended"


class Overloaded(VivavoceError):
    """A full queue. Try again in `retry_after_s`."""

    code = "overloaded"

    def __init__(self, message: str, *, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class RateLimited(Overloaded):
    """An API key with too many requests at once, or in this minute."""

    code = "rate_limited"


class DeadlineExceeded(VivavoceError):
    """A request that took longer than the request or the server allows."""

    code = "deadline_exceeded"


class NotReady(VivavoceError):
    """A server or a model that is loading, draining or stopped."""

    code = "not_ready"


class OutOfMemory(VivavoceError):
    """A model that needs more memory than the setting `max_model_memory_gb` allows.

    With `retry_after_s`, the model found no memory for this request beside its other work.
    """

    code = "out_of_memory"

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class EngineFault(VivavoceError):
    """A model that failed while it spoke."""

    code = "engine_fault"


class MissingDependency(VivavoceError):
    """A missing optional package or data file. The message says how to install it."""

    code = "missing_dependency"


class ModelsMissing(MissingDependency):
    """A server whose models all lack a package or a file."""


class SettingsError(VivavoceError):
    """A setting with a wrong value or an unknown name."""

    code = "settings"


class BindError(VivavoceError):
    """An address that is taken, not this machine's, or not allowed for this user."""

    code = "cannot_listen"


class DiskFull(VivavoceError):
    """A disk that is full or not writable.

    With `retry_after_s`, other answers use the space until they have been sent.
    """

    code = "no_room"

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class SigningFailed(VivavoceError):
    """A file that got no C2PA manifest."""

    code = "signing_failed"
