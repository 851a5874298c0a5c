"""Import the package `wyoming` first, which takes `audioop` from the Pythons that still have it."""

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import wyoming.audio  # noqa: F401 - for its warning
