"""Commands for whom file permissions hold, also where the tests run as root."""

import os
import shutil
import sys

import pytest

_CAPABILITIES = (
    "-dac_override,-dac_read_search"  # root's leave to read and write whatever the mode says
)


def bound_by_permissions() -> list[str]:
    """Return the start of a command line that makes Python obey file modes. Skip if root must be and cannot."""
    if os.geteuid() != 0:
        return [sys.executable]
    if shutil.which("setpriv") is None:
        pytest.skip("file permissions do not bind root, and setpriv is not here")
    return [
        "setpriv",
        f"--bounding-set={_CAPABILITIES}",
        f"--inh-caps={_CAPABILITIES}",
        sys.executable,
    ]
