"""Run commands that obey file permissions, even if the tests run as root."""

import os
import shutil
import sys

import pytest

# Root's leave to read and write whatever the mode says.
_CAPABILITIES = "-dac_override,-dac_read_search"


def bound_by_permissions() -> list[str]:
    """Return a command line for a Python that obeys file modes, or skip the test."""
    if os.geteuid() != 0:
        return [sys.executable]
    if shutil.which("setpriv") is None:
        pytest.skip("file permissions do not bind root, and setpriv is not here")
    return [
        "setpriv", f"--bounding-set={_CAPABILITIES}", f"--inh-caps={_CAPABILITIES}", sys.executable,
    ]  # fmt: skip
