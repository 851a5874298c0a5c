"""Test the manifests of deploy/kubernetes against Kubernetes' own schemas.

The schemas come from the package `kubernetes-validate`.
"""

from pathlib import Path
from typing import Any

import pytest

from vivavoce.settings import Settings
from vivavoce.settings.sources import ENV_PREFIX

validate = pytest.importorskip(
    "kubernetes_validate", reason="kubernetes-validate is not installed (extra `dev`)"
)
yaml = pytest.importorskip("yaml", reason="PyYAML is not installed (extra `dev`)")

FOLDER = Path(__file__).parent.parent.parent / "deploy" / "kubernetes"
RESOURCES = [
    pytest.param(resource, id=f"{file.name} {resource['kind']}")
    for file in sorted(FOLDER.glob("*.yaml"))
    for resource in yaml.safe_load_all(file.read_text("utf-8"))
]


@pytest.mark.parametrize("resource", RESOURCES)
def test_manifest_is_what_kubernetes_takes(resource: dict[str, Any]) -> None:
    validate.validate(resource, validate.latest_version(), strict=True)


@pytest.mark.parametrize("resource", RESOURCES)
def test_variables_are_settings(resource: dict[str, Any]) -> None:
    containers = resource["spec"].get("template", {}).get("spec", {}).get("containers", [])
    names = [variable["name"] for container in containers for variable in container.get("env", [])]
    unknown = [
        name for name in names if name.removeprefix(ENV_PREFIX).lower() not in Settings.model_fields
    ]
    assert unknown == []


def test_a_manifest_with_an_unknown_field_fails() -> None:
    resource = {
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {"prots": []},
    }  # fmt: skip
    with pytest.raises(validate.ValidationError):
        validate.validate(resource, validate.latest_version(), strict=True)
