"""Check what pages say about tests, and what the built site cannot have."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
NOTED = re.compile(r"^\[\^[\w-]+\]: `([\w/.]+)`: (.+)$", re.MULTILINE)


def test_tests_that_a_page_names_are_there() -> None:
    found = 0
    for page in sorted((ROOT / "docs").glob("*.md")):
        for path, names in NOTED.findall(page.read_text("utf-8")):
            tree = ast.parse((ROOT / path).read_text("utf-8"))
            tests = {
                node.name
                for node in tree.body
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            }
            assert set(re.findall(r"`(\w+)`", names)) <= tests, path
            found += 1
    assert found > 30


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.name)
def test_footnotes_have_their_place(page: Path) -> None:
    text = page.read_text("utf-8")
    notes = re.findall(r"^\[\^([\w-]+)\]:", text, re.MULTILINE)
    assert len(notes) == len(set(notes))
    assert set(notes) == set(re.findall(r"\[\^([\w-]+)\](?!:)", text))


def test_changelog_has_no_links_to_files() -> None:
    # It is a page of the site too, from another folder, where they would lead nowhere.
    links = re.findall(r"\]\((?!https?:)([^)]*)\)", (ROOT / "CHANGELOG.md").read_text("utf-8"))
    assert links == []
