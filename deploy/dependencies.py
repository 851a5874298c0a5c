"""Print the dependencies of vivavoce and of the named extras, one requirement a line.

`dependencies.py kokoro qwen` reads the `pyproject.toml` of the current folder. So the dependencies
are an image layer of their own, which a change of the code keeps. A torch of the base image stays:
no other is named. Nothing is installed.
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
