"""Check `vivavoce book` and `vivavoce jobs` with a server."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.conftest import serving, tone_pool
from vivavoce.api.app import create_app
from vivavoce.cli import app
from vivavoce.client import Client
from vivavoce.settings import Settings

BOOK = "# The lamp\n\nThe lamp is on the table.\n\n# The rain\n\nIt rains.\n"


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    with serving(
        create_app(Settings(data_dir=tmp_path / "data", provenance="tags"), tone_pool())
    ) as url:
        yield url


@pytest.fixture
def book(tmp_path: Path) -> Path:
    file = tmp_path / "book.md"
    file.write_text(BOOK)
    return file


def run(*arguments: str | Path) -> tuple[int, str]:
    done = CliRunner().invoke(app, list(map(str, arguments)))
    return done.exit_code, done.output


def test_book_is_narrated_by_a_server(url: str, book: Path) -> None:
    flac, vtt = book.with_name("a.flac"), book.with_name("a.vtt")
    asked = ("book", book, "-o", flac, "-o", vtt, "--voice", "hum", "--chapters", "2")
    code, output = run(*asked, "--server", url)
    assert code == 0, output
    assert flac.read_bytes()[:4] == b"fLaC"
    assert "It rains." in vtt.read_text()
    assert "lamp" not in vtt.read_text()
    first = flac.read_bytes()
    flac.unlink()
    assert run(*asked, "--server", url)[0] == 0
    assert flac.read_bytes() == first
    with Client(url) as client:
        [job] = client.jobs.list()  # the same command makes no second job
    assert (job.speaker, job.state) == ("hum", "done")
    code, output = run("jobs", "list", "--server", url, "--json")
    assert [one["id"] for one in json.loads(output)] == [job.id]
    assert run("jobs", "remove", job.id, "--server", url)[0] == 0


def test_errors_of_the_server_are_shown(url: str, book: Path) -> None:
    code, output = run(
        "book", book, "-o", book.with_name("a.flac"), "--voice", "nobody", "--server", url
    )
    assert code != 0
    assert "nobody" in output
    code, output = run("book", book, "-o", book.with_name("folder"), "--server", url)
    assert code != 0
    assert "zip" in output
    code, output = run("book", book, "--server", "http://127.0.0.1:9")
    assert code != 0
    assert "no server answers" in output
