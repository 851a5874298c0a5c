"""Check the sizes and first lines that `docs/contributing.md` asks for."""

import ast
import re
from collections import Counter
from dataclasses import MISSING, fields
from inspect import Parameter, signature
from pathlib import Path

from vivavoce.books.write.mux import write_audio
from vivavoce.books.write.tags import Tags

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "vivavoce"
MODULES = sorted(PACKAGE.rglob("*.py"))


def lines(path: Path) -> int:
    return len(path.read_text("utf-8").splitlines())


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return the number of parameters, without `self` or `cls`."""
    given = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    return sum(argument.arg not in ("self", "cls") for argument in given)


def test_modules_and_folders_are_small() -> None:
    assert [str(path) for path in MODULES if lines(path) > 400] == []
    modules = [path for path in MODULES if not path.name.startswith("__")]
    counts = Counter(path.parent.relative_to(PACKAGE) for path in modules)
    limits = {Path("cli"): 20}  # a module for each command
    assert [str(folder) for folder, n in counts.items() if n > limits.get(folder, 10)] == []


def test_functions_take_at_most_eight_parameters() -> None:
    free = [PACKAGE / "cli", PACKAGE / "models" / "qwen3_tts" / "kernels"]  # commands, Triton
    long = [
        f"{path}:{node.lineno}"
        for path in MODULES
        if not any(path.is_relative_to(folder) for folder in free)
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and parameters(node) > 8
    ]
    assert long == []


def test_every_module_says_what_it_does() -> None:
    docstrings = {path: ast.get_docstring(ast.parse(path.read_text("utf-8"))) for path in MODULES}
    assert [str(path) for path, docstring in docstrings.items() if not docstring] == []


def imports_encoders(path: Path) -> bool:
    """True if the module opens one of FFmpeg's encoders or writers, or takes what one made."""
    tree = ast.parse(path.read_text("utf-8"))
    opens = any(
        isinstance(node, ast.Call)
        and ast.unparse(node.func) in ("av.open", "av.CodecContext.create")
        and any(ast.unparse(argument) == "'w'" for argument in node.args)
        for node in ast.walk(tree)
    )
    taken = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "vivavoce.books.write.encode"
        for alias in node.names
    }
    return opens or bool(taken & {"packets", "encode_part", "open_codec"})


def test_all_audio_leaves_through_the_outlet() -> None:
    """So that a new exit cannot forget to mark its audio as synthetic."""
    writers = {"open_encoder", "wav_header", "flac_with_length", "to_pcm16", "wav_bytes"}
    free = {
        Path("synthesis/outlet.py"),
        Path("cli/sources.py"),  # `wav_bytes` of a recording to clone, which goes to a server
        Path("remote/server.py"),  # the same
        Path("voices/recording.py"),  # a recording of a person, which is kept
        Path("wyoming/output.py"),  # silence
    }
    # `mux` alone writes the audio of books. It takes tags, which have the marks of the narration.
    book_files = {Path("books/write/mux.py"), Path("books/write/encode.py")}
    around, silent = set(), set()
    for path in MODULES:
        place = path.relative_to(PACKAGE)
        names = {
            alias.name
            for node in ast.walk(ast.parse(path.read_text("utf-8")))
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        }
        if names & writers and place.parts[0] != "audio" and place not in free:
            around.add(str(place))
        if place.parts[0] != "audio" and place not in book_files and imports_encoders(path):
            around.add(str(place))
        # Whoever takes the samples of a `Speech` encodes them, or drops them.
        is_taker = re.search(r"\bspeech\.samples\(\)", path.read_text("utf-8"))
        encodes = names & {"open_outlet", "excerpt_file"}
        drops = {Path("cli/doctor.py"), Path("synthesis/outlet.py")}
        if is_taker and not encodes and place not in drops:
            silent.add(str(place))
    assert around == set(), "encode with synthesis.outlet, and books with books.write.mux"
    marks = next(field for field in fields(Tags) if field.name == "marks")
    assert marks.default is MISSING, "no file of a book is written without a word on its marks"
    assert signature(write_audio).parameters["tags"].default is Parameter.empty
    assert silent == set(), "encode with synthesis.outlet"
    sources = (PACKAGE / "cli" / "sources.py").read_text("utf-8")
    assert "open_encoder" not in sources
    spools = {
        str(path.relative_to(PACKAGE))
        for path in MODULES
        if re.search(r"\bSpool\(", path.read_text("utf-8"))
    }
    assert spools == {"synthesis/outlet.py"}, "take a whole file from `whole_file`, which signs it"
    responses = {  # a replay has the headers of the first answer
        str(path.relative_to(PACKAGE))
        for path in MODULES
        if re.search(r"\b(Streaming|File)Response\(", path.read_text("utf-8"))
    }
    assert responses <= {"api/responses.py", "api/replay.py"}, (
        "answer with `chunked` or `whole`, which set X-Synthetic"
    )


def test_pages_are_short() -> None:
    pages = (ROOT / "docs").rglob("*.md")
    assert [str(page) for page in pages if lines(page) > 250] == []
    assert lines(ROOT / "README.md") <= 130
    assert lines(ROOT / "pyproject.toml") <= 230
    for picture in ("page.png", "books.png"):
        assert (ROOT / "docs" / picture).stat().st_size <= 150 * 1024
    contributing = (ROOT / "docs" / "contributing.md").read_text("utf-8")
    assert contributing.split("## Glossary")[1].split("\n## ")[0].strip().count("\n") < 40


def test_changes_are_where_the_guide_says() -> None:
    table = (ROOT / "docs" / "contributing.md").read_text("utf-8").split("## Where is it?")[1]
    rows = [row for row in table.split("\n## ")[0].splitlines() if row.startswith("| ")][2:]
    places = [place for row in rows for place in re.findall(r"`([\w/]+(?:\.py|/))`", row)]
    assert len(places) >= len(rows) >= 10
    assert [place for place in places if not (PACKAGE / place).exists()] == []
