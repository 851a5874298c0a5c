"""Import the package `wyoming` first, as its own tests do."""

import tests.wyoming.conftest  # noqa: F401 - for what it does on import
