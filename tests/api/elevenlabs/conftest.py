"""A server with beeps, over a socket, as the clients of ElevenLabs reach it."""

from collections.abc import Iterator

import pytest

from tests.conftest import EQUAL, serving, tone_pool
from vivavoce.api.app import create_app


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(create_app(EQUAL, tone_pool())) as url:
        yield url
