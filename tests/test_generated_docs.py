"""The reference pages say what the code says."""

import subprocess
import sys
from pathlib import Path

from vivavoce.settings import Settings

ROOT = Path(__file__).parent.parent
SCRIPT = ROOT / "scripts" / "generate_docs.py"


def test_the_reference_pages_are_what_the_code_says() -> None:
    result = subprocess.run(
        [sys.executable, SCRIPT, "--check"], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


def test_a_page_that_differs_fails_the_check(tmp_path: Path) -> None:
    script = tmp_path / "scripts" / SCRIPT.name
    script.parent.mkdir()
    script.write_bytes(SCRIPT.read_bytes())
    result = subprocess.run(
        [sys.executable, script, "--check"], capture_output=True, text=True, check=False
    )
    assert result.returncode == 1
    assert (
        "configuration.md, cli.md, cli-groups.md, cli-voices.md, cli-jobs.md differ"
        in result.stderr
    )


def test_every_setting_and_command_is_on_its_page() -> None:
    configuration = (ROOT / "docs/reference/configuration.md").read_text(encoding="utf-8")
    assert [name for name in Settings.model_fields if f"| `{name}` |" not in configuration] == []
    pages = [
        ROOT / "docs/reference" / name
        for name in ("cli.md", "cli-groups.md", "cli-voices.md", "cli-jobs.md")
    ]
    commands = "".join(page.read_text(encoding="utf-8") for page in pages)
    for command in (
        "serve",
        "say",
        "voices",
        "models list",
        "models pull",
        "models rm",
        "keys create",
        "doctor",
        "ui",
    ):
        assert f"## `vivavoce {command}`" in commands
