"""Run the examples of the README and the documentation, and check their links.

Python and shell blocks run against a live server that stands for `http://localhost:8000`. A comment
right before a block marks it: `not run: reason`, `needs: kokoro`, or `answer to: METHOD path body`.
"""

import inspect
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import pytest

from tests.conftest import serving, tone_pool
from tests.decoding import decode
from vivavoce.api.app import EXPOSED, create_app
from vivavoce.api.schemas.requests import SamplingFields, SpeechBody, SynthesizeBody
from vivavoce.errors import MissingDependency, VivavoceError
from vivavoce.models.kokoro.assets import locate
from vivavoce.models.kokoro.voices import SPEAKERS
from vivavoce.serving.base import Engine, Model
from vivavoce.settings import Settings

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"
PAGES = (ROOT / "README.md", *sorted(DOCS.glob("*.md")))
LINKED = (*PAGES, ROOT / "CHANGELOG.md", *sorted(DOCS.glob("reference/*.md")))
ILLUSTRATIONS = {"text"}  # drawings and what a terminal shows
CHECKED = {"python", "sh", "toml", "json", "http", *ILLUSTRATIONS}

FENCE = re.compile(r"^( *)```(.*)\n((?:.*\n)*?)\1```$", re.MULTILINE)
MARK = re.compile(r"<!-- (not run|needs|answer to): ([^\n]+) -->\n\Z")
PROJECT = re.compile(
    r"^(?:[A-Z_]+=\S+ )*(?:make ([a-z-]+)|python ((?:benchmarks|scripts)/\S+))", re.MULTILINE
)
LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(#[^)\s]*)?\)")


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block; `mark` and `note` are those of the comment before it."""

    page: Path
    line: int
    language: str
    body: str
    mark: str = ""
    note: str = ""

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def runs(self) -> bool:
        """True if the block is an example to run, and no `make` target or script of the project."""
        return self.mark != "not run" and not all(
            PROJECT.match(line) for line in self.body.splitlines() if line
        )


def blocks_of(page: Path) -> Iterator[Block]:
    text = page.read_text("utf-8")
    for fence in FENCE.finditer(text):
        mark = MARK.search(text[: fence.start()])
        line = text.count("\n", 0, fence.start()) + 1
        yield Block(page, line, fence[2], fence[3], *(mark.groups() if mark else ()))


BLOCKS = [block for page in PAGES for block in blocks_of(page)]


def examples(*languages: str, mark: str | None = None) -> pytest.MarkDecorator:
    found = [
        block
        for block in BLOCKS
        if block.language in languages and block.runs and mark in (None, block.mark)
    ]
    return pytest.mark.parametrize("block", found, ids=str)


@pytest.fixture(scope="session")
def kokoro_url() -> Iterator[str]:
    """Yield the URL of a server with the default models. Skip if Kokoro's files are missing."""
    settings = Settings(load_models="lazy", isolate_models=False)
    try:
        locate(settings.cache_dir, settings.kokoro_dir)
    except MissingDependency as absent:
        pytest.skip(absent.message)
    with serving(create_app(settings)) as url:
        yield url


def url_for(block: Block, request: pytest.FixtureRequest) -> str:
    url = request.getfixturevalue(
        "kokoro_url" if (block.mark, block.note) == ("needs", "kokoro") else "hibari_url"
    )
    assert isinstance(url, str)
    return url


def located(block: Block, request: pytest.FixtureRequest) -> str:
    """Return the block with the address of a server, also for a WebSocket."""
    return block.body.replace("://localhost:8000", url_for(block, request).removeprefix("http"))


def run(command: list[str], folder: Path) -> str:
    """Return the output of `command` in `folder`, with this environment's programs.

    The command sees no setting of this machine.
    """
    folder.joinpath(".curlrc").write_text("fail-with-body\nsilent\nshow-error\n", "utf-8")
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("VIVAVOCE_")
    }
    environment |= {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "CURL_HOME": str(folder),
    }
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def loudness(path: Path) -> float:
    """Return the root mean square of an audio file's samples."""
    data = path.read_bytes()
    samples = np.frombuffer(data, "<i2") / 2**15 if path.suffix == ".pcm" else decode(data)[0]
    return float(np.sqrt(np.mean(np.square(samples))))


def check_files(block: Block, folder: Path) -> None:
    """Check that every audio file that the block names exists and is audible."""
    for name in re.findall(r"[\w-]+\.(?:wav|mp3|pcm)\b", block.body):
        assert loudness(folder / name) > 0.005, f"{block}: {name}"


@pytest.mark.slow
@examples("python")
def test_python_example_runs(block: Block, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    script = tmp_path / "example.py"
    script.write_text(located(block, request), "utf-8")
    run([sys.executable, str(script)], tmp_path)
    check_files(block, tmp_path)


@pytest.mark.slow
def test_example_model_is_typed_as_the_seam_wants_it(tmp_path: Path) -> None:
    (model,) = [
        block
        for block in BLOCKS
        if "(Model[" in block.body and block.page.name == "contributing.md"
    ]
    script = tmp_path / "example.py"
    script.write_text(model.body, "utf-8")
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", str(script)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout


@pytest.mark.slow
@examples("sh")
def test_shell_example_runs(block: Block, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    if "curl" in block.body and not shutil.which("curl"):
        pytest.skip("curl is not installed")
    script = located(block, request)
    assert run(["bash", "-euo", "pipefail", "-c", script], tmp_path) or re.search(" -o ", script)
    check_files(block, tmp_path)


@examples("toml")
def test_toml_example_is_taken_by_the_settings(
    block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("VIVAVOCE_")]:
        monkeypatch.delenv(name)
    file = tmp_path / "vivavoce.toml"
    file.write_text(block.body, "utf-8")
    settings = Settings.read(file).model_dump(mode="json")
    assert {name: settings[name] for name in tomllib.loads(block.body)} == tomllib.loads(block.body)


@examples("json")
def test_json_example_is_json(block: Block) -> None:
    assert json.loads(block.body)


def ask(block: Block, url: str) -> httpx.Response:
    """Return the server's answer to the request in the block's note."""
    method, path, *body = block.note.split(" ", 2)
    content = json.loads(body[0]) if body else None
    return httpx.request(method, f"{url}{path}", json=content, timeout=60)


def fits(shown: object, real: object) -> bool:
    """True if `real` is what an example shows. A final "…" stands for any rest, alone for all."""
    if shown == "…":
        return True
    if isinstance(shown, str) and isinstance(real, str) and shown.endswith("…"):
        return real.startswith(shown[:-1])
    if isinstance(shown, list) and isinstance(real, list):
        if shown[-1:] == ["…"]:
            shown, real = shown[:-1], real[: len(shown) - 1]
        return len(shown) == len(real) and all(map(fits, shown, real))
    if isinstance(shown, dict) and isinstance(real, dict):
        return shown.keys() == real.keys() and all(fits(shown[name], real[name]) for name in shown)
    return shown == real


@examples("json", mark="answer to")
def test_json_answer_is_the_servers(block: Block, hibari_url: str) -> None:
    answer = ask(block, hibari_url).json()
    assert fits(json.loads(block.body), answer), answer


@examples("http", mark="answer to")
def test_http_answer_is_the_servers(block: Block, hibari_url: str) -> None:
    answer = ask(block, hibari_url)
    status, *lines = block.body.splitlines()
    assert status == f"HTTP/1.1 {answer.status_code} {answer.reason_phrase}"
    for name, shown in (line.split(": ", 1) for line in lines):
        assert fits(shown, answer.headers[name]), f"{name}: {answer.headers[name]}"


@pytest.mark.parametrize(
    ("shown", "real", "fitting"),
    [
        ("req_…", "req_1", True),
        ("req_…", "1", False),
        (["a", "…"], ["a", "b", "c"], True),
        (["a", "…"], ["b", "c"], False),
        (["a"], ["a", "b"], False),
        ({"a": "…"}, {"a": "b"}, True),
        ({"a": "…"}, {"a": "b", "c": 1}, False),
    ],
)
def test_an_ellipsis_stands_for_any_rest_and_nothing_else(
    shown: object, real: object, fitting: bool
) -> None:
    assert fits(shown, real) is fitting


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_block_is_run_or_says_why_not(block: Block) -> None:
    assert block.mark == "not run" or block.language in CHECKED
    assert block.mark != "answer to" or block.language in ("json", "http")
    assert block.mark != "needs" or (block.note == "kokoro" and block.language in ("python", "sh"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_fence_or_comment_escapes_the_tests(page: Path) -> None:
    text, found = page.read_text("utf-8"), list(blocks_of(page))
    outside = FENCE.sub("", text)
    assert "```" not in outside
    assert outside.count("<!-- ") == sum(block.mark != "" for block in found)


@pytest.mark.parametrize("page", LINKED, ids=lambda page: str(page.relative_to(ROOT)))
def test_relative_links_lead_to_files(page: Path) -> None:
    links = [target for target, _ in LINK.findall(FENCE.sub("", page.read_text("utf-8"))) if target]
    assert [target for target in links if not (page.parent / target).exists()] == []


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as MkDocs makes them."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text("utf-8")), re.MULTILINE)
    return {
        re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", text).strip().lower()) for text in headings
    }


@pytest.mark.parametrize("page", LINKED, ids=lambda page: str(page.relative_to(ROOT)))
def test_anchors_are_headings(page: Path) -> None:
    links = LINK.findall(FENCE.sub("", page.read_text("utf-8")))
    assert [
        f"{target}{anchor}"
        for target, anchor in links
        if anchor and anchor[1:] not in anchors(page.parent / target if target else page)
    ] == []


def test_navigation_and_pages_are_the_same() -> None:
    listed = re.findall(
        r"^ *- .+: (\S+\.md)$", (ROOT / "mkdocs.yml").read_text("utf-8"), re.MULTILINE
    )
    assert sorted(listed) == sorted(
        path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")
    )


@pytest.mark.parametrize("page", ["architecture.md", "contributing.md"])
def test_modules_that_a_page_names_exist(page: str) -> None:
    text = (DOCS / page).read_text("utf-8")
    named = re.findall(r"`([a-z0-9_]+(?:/[a-z0-9_]+)*(?:\.py|/))`", text)
    assert named
    roots = (ROOT, ROOT / "src" / "vivavoce")
    assert [name for name in named if not any((root / name).exists() for root in roots)] == []


def test_make_targets_and_scripts_exist() -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    named = [names for block in BLOCKS for names in PROJECT.findall(block.body)]
    assert {"serve", "test"} <= {target for target, _ in named} <= {*targets, ""}
    assert [script for _, script in named if not (ROOT / script).exists()] == []


def test_architecture_shows_the_seams_as_they_are() -> None:
    shown: dict[str, type] = {}
    exec(next(block.body for block in BLOCKS if block.page.name == "architecture.md"), shown)
    for real in (Engine, Model):
        methods = [
            name
            for name, value in vars(real).items()
            if inspect.isfunction(value) and name[0] != "_"
        ]
        for name in methods:
            assert str(inspect.signature(getattr(shown[real.__name__], name))) == str(
                inspect.signature(getattr(real, name))
            )
        assert shown[real.__name__].__annotations__ == real.__annotations__


def test_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 130


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_page_is_short(page: Path) -> None:
    assert len(page.read_text("utf-8").splitlines()) <= 250


@pytest.mark.parametrize(("page", "body"), [("http.md", SynthesizeBody), ("openai.md", SpeechBody)])
def test_every_field_of_a_request_has_a_row(
    page: str, body: type[SynthesizeBody | SpeechBody]
) -> None:
    text = (DOCS / page).read_text("utf-8")
    elsewhere = (
        SamplingFields.model_fields if body is SpeechBody else ()
    )  # its row refers to the other page
    assert [
        name
        for name in body.model_fields
        if f"\n| `{name}` |" not in text and name not in elsewhere
    ] == []


def test_every_path_header_and_code_is_described() -> None:
    http, errors, *others = (
        (DOCS / page).read_text("utf-8")
        for page in (
            "http.md",
            "errors.md",
            "openai.md",
            "elevenlabs.md",
            "live-dialects.md",
            "streaming.md",
            "lifecycle.md",
            "markup.md",
            "voices.md",
            "jobs.md",
            "live-dialects.md",
        )
    )
    text = "".join((http, *others))
    assert [
        path
        for path in create_app(Settings(), tone_pool()).openapi()["paths"]
        if f"{path}`" not in text
    ] == []
    assert [header for header in EXPOSED if f"| `{header}` |" not in http] == []
    assert [
        code
        for code in sorted(codes(VivavoceError) - {"settings", "cannot_listen"})
        if f"`{code}`" not in errors
    ] == []


def codes(kind: type[VivavoceError]) -> set[str]:
    """Return the codes of all errors below `kind`."""
    return {code for below in kind.__subclasses__() for code in (below.code, *codes(below))}


def test_speaker_table_is_the_codes() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| `(\w+)` \|", (DOCS / "engines.md").read_text("utf-8"), re.MULTILINE
    )
    assert dict(rows) == SPEAKERS
