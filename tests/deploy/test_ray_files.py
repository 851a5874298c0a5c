"""The Ray Serve files of deploy/ray: what they pass on are settings of ours.

A cluster runs one in tests/remote/cluster.
"""

from pathlib import Path

import pytest

from vivavoce.settings import Settings

yaml = pytest.importorskip("yaml", reason="PyYAML is not installed (extra `dev`)")

FILES = sorted((Path(__file__).parent.parent.parent / "deploy" / "ray").glob("*.yaml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_arguments_are_settings_that_name_the_application(file: Path) -> None:
    (application,) = yaml.safe_load(file.read_text("utf-8"))["applications"]
    settings = Settings.read(None, **application["args"])
    assert application["import_path"] == "vivavoce.api.ray_app:application"
    assert settings.default_model == application["name"]
