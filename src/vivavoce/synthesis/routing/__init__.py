"""Choose the model, voice and language that answer a request."""

from vivavoce.synthesis.routing.router import (
    AUTO,
    MODEL_ALIASES,
    SAMPLE_CHARS,
    TASKS,
    Match,
    Route,
    Router,
)

__all__ = ["AUTO", "MODEL_ALIASES", "SAMPLE_CHARS", "TASKS", "Match", "Route", "Router"]
