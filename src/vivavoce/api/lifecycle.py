"""Track whether the server accepts work, and when it may end.

It knows no signals. `cli.server` calls `drain` and asks when the process may end.
"""

import time
from collections.abc import Callable

from vivavoce.errors import VivavoceError


class Lifecycle:
    """State of one server.

    Running requests get `shutdown_timeout_s` to finish. `model_failure` returns the error of a
    model that can never speak again in this process, or None.
    """

    def __init__(
        self,
        shutdown_timeout_s: float,
        model_failure: Callable[[], VivavoceError | None] = lambda: None,
    ) -> None:
        self.running = 0  # requests being answered
        self.loading = False  # loads its models at startup, not for a request
        self._failure: VivavoceError | None = None
        self._model_failure = model_failure
        self._shutdown_timeout_s = shutdown_timeout_s
        self._ends_s: float | None = None

    @property
    def failure(self) -> VivavoceError | None:
        """The error that ends the server, so that its supervisor starts it again."""
        self._failure = self._failure or self._model_failure()
        return self._failure

    def fail(self, error: VivavoceError) -> None:
        """End the server with `error`."""
        self._failure = error

    @property
    def draining(self) -> bool:
        """True if the server is shutting down."""
        return self._ends_s is not None

    @property
    def grace_left_s(self) -> float:
        """Seconds that running requests still have to finish."""
        if self._ends_s is None:
            return self._shutdown_timeout_s
        return max(self._ends_s - time.monotonic(), 0.0)

    @property
    def over(self) -> bool:
        """True if the server is draining and all requests have finished or had their time."""
        return self.draining and (not self.running or not self.grace_left_s)

    def drain(self) -> None:
        """Accept no new work from now on. Safe in a signal handler."""
        if self._ends_s is None:
            self._ends_s = time.monotonic() + self._shutdown_timeout_s
