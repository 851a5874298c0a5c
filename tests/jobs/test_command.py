"""Check `vivavoce book` and `vivavoce jobs` in this process."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.books.generate import Document, Epub
from vivavoce.cli import app

BOOK = "# The lamp\n\nThe lamp is on the table.\n\n# The rain\n\nIt rains.\n"

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs a command in a folder with a book."""
    monkeypatch.chdir(tmp_path)
    for name, value in {"DATA_DIR": str(tmp_path / "data"), "MODELS": "tone"}.items():
        monkeypatch.setenv(f"VIVAVOCE_{name}", value)
    monkeypatch.setenv("VIVAVOCE_ISOLATE_MODELS", "false")
    monkeypatch.setenv("VIVAVOCE_PROVENANCE", "tags")
    Path("book.md").write_text(BOOK)

    def run(*arguments: str) -> tuple[int, str]:
        done = CliRunner().invoke(app, arguments, terminal_width=200)
        return done.exit_code, " ".join(done.output.replace("│", " ").split())

    return run


def test_book_is_written_and_listed(run: Run) -> None:
    code, output = run("book", "book.md", "-o", "a.flac", "-o", "a.vtt", "--chapters", "2")
    assert code == 0, output
    assert Path("a.flac").read_bytes()[:4] == b"fLaC"
    assert "lamp" not in Path("a.vtt").read_text()
    jobs = json.loads(run("jobs", "list", "--json")[1])
    assert [(job["state"], job["source"]) for job in jobs] == [("done", "book.md")]
    assert sorted(each.name for each in Path().iterdir()) == ["a.flac", "a.vtt", "book.md", "data"]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["-o", "a.mp3", "-o", "b.mp3"], "'mp3' is named twice"),
        (["-o", "a", "-o", "a", "--format", "mp3", "--format", "flac"], "'a' is named twice"),
        (["--chapters", "3-1"], "write numbers like 1-3,7"),
        (["--chapters", "1-"], "write numbers like 1-3,7"),
        (["--chapters", "1-9999999999"], "write numbers like 1-3,7"),
        (["--chapters", "7"], "the book has 1 to 2"),
        (["-o", "a.doc"], "format 'doc' is not one of m4b"),
        (["-o", "nowhere/a.mp3"], "does not exist: make it"),
        (["--speak", "jokes"], "'jokes' is not one of footnotes"),
        (["--voice", "nobody"], "speaker 'nobody' is unknown"),
    ],
)
def test_mistake_is_told_before_anything_is_made(run: Run, arguments: list[str], why: str) -> None:
    code, output = run("book", "book.md", *arguments)
    assert code != 0
    assert why in output
    assert sorted(each.name for each in Path().iterdir() if each.is_file()) == ["book.md"]


@pytest.mark.parametrize("arguments", [["--format", "epub"], ["-o", "data/../book.epub"]])
def test_book_itself_is_never_replaced(run: Run, arguments: list[str]) -> None:
    page = Document("a.xhtml", "One")
    page.paragraph("The lamp burns.")
    data = Epub([page]).bytes()
    Path("book.epub").write_bytes(data)
    Path("data").mkdir()
    code, output = run("book", "book.epub", *arguments)
    assert (code, Path("book.epub").read_bytes()) == (2, data)
    assert "is the book itself: name another file with --output" in output


def test_dry_run_plans_the_chosen_chapters(run: Run) -> None:
    code, output = run("book", "book.md", "--dry-run", "--chapters", "2")
    assert code == 0
    assert "The rain" in output
    assert "The lamp" not in output
    assert "time to make it: not known before the first book" in output
    assert not Path("data").exists()


def test_dry_run_knows_the_speed_of_the_last_book(run: Run) -> None:
    assert run("book", "book.md", "-o", "book.flac")[0] == 0
    speed = float(Path("data/jobs/speed.txt").read_text())
    code, output = run("book", "book.md", "--dry-run")
    assert (code, f"at the last book's {speed:.0f} × real time" in output) == (0, True)
    Path("data/jobs/speed.txt").write_text("half")  # of a write that was interrupted
    assert "not known" in run("book", "book.md", "--dry-run")[1]


def test_a_stop_tells_that_the_same_command_goes_on(run: Run) -> None:
    """The command runs in a process of its own, which is stopped when it has a sentence."""
    Path("long.md").write_text("# One\n\n" + "The lamp is on the table in the hall. " * 60)
    command = [sys.executable, "-m", "vivavoce", "book", "long.md", "-o", "long.flac"]
    slow = os.environ | {"VIVAVOCE_TONE_REAL_TIME_FACTOR": "0.5"}
    with subprocess.Popen(command, env=slow, stderr=subprocess.PIPE, text=True) as process:
        while process.poll() is None and not list(Path("data/jobs/audio").rglob("*.flac")):
            os.sched_yield()
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        told = process.stderr.read()
    assert (process.returncode, "the same command goes on from here" in told) == (130, True)
    assert not Path("long.flac").exists()
    (job,) = json.loads(run("jobs", "list", "--json")[1])
    assert job["sentences_made"] < job["sentences"]
    assert run("book", "long.md", "-o", "long.flac")[0] == 0
    assert Path("long.flac").exists()
