"""Prints what vivavoce depends on, with the extras that are named, one requirement a line; it installs nothing.

`dependencies.py kokoro qwen` reads the `pyproject.toml` of the folder it runs in. So an image has the dependencies in a
layer of their own, which a change of the code leaves as it is. A torch of the base image stays: no other is named.
"""

import re
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

project = tomllib.loads(Path("pyproject.toml").read_text("utf-8"))["project"]
wanted = [
    *project["dependencies"],
    *(one for extra in sys.argv[1:] for one in project["optional-dependencies"][extra]),
]
for requirement in wanted:
    name = re.split(r"[^\w.-]", requirement, maxsplit=1)[0]
    if name != "torch" or find_spec("torch") is None:
        print(requirement)
