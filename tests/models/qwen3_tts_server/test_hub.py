"""Checkpoints from a local hub, pulled, listed, served and removed by the command line."""

import io
import json
import os
import re
import shutil
import subprocess
import sys
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import pytest

for package in ("torch", "safetensors", "tokenizers", "huggingface_hub"):
    pytest.importorskip(
        package,
        reason=f"Qwen3-TTS needs {package}: make test-qwen, or pip install 'vivavoce[qwen]'",
    )

from huggingface_hub import constants, snapshot_download  # noqa: E402 - after the check for it
from typer.testing import CliRunner, Result  # noqa: E402

from tests.models.qwen3_tts.hub_server import COMMIT, Hub, hub_server  # noqa: E402
from tests.models.qwen3_tts.whole import whole_checkpoint  # noqa: E402
from tests.permissions import bound_by_permissions  # noqa: E402
from vivavoce.cli import app as command_line  # noqa: E402

ID = "Someone/Tiny-CustomVoice"
STORE = "models--Someone--Tiny-CustomVoice"
WEIGHTS = "model.safetensors"
UNREAD = (
    "README.md", "modeling.py", "pytorch_model.bin", "speech_tokenizer/codec.pt",
    "assets/demo.safetensors",
)  # fmt: skip


@pytest.fixture(scope="module")
def repositories(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the hub's files: a checkpoint with additional files, and another model."""
    folder = tmp_path_factory.mktemp("hub")
    whole_checkpoint(folder / ID, frames=15)
    for name in UNREAD:
        (folder / ID / name).parent.mkdir(exist_ok=True)
        (folder / ID / name).write_bytes(b"not for us" * 20_000)
    shutil.copytree(folder / ID, folder / "Someone/Other")
    (folder / "Someone/Other/config.json").write_text('{"model_type": "llama"}', "utf-8")
    (folder / "Someone/Bare").mkdir()
    (folder / "Someone/Bare/config.json").write_text("{}", "utf-8")
    return folder


@pytest.fixture
def hub(repositories: Path) -> Iterator[Hub]:
    with hub_server(repositories) as hub:
        yield hub


@dataclass(frozen=True)
class Machine:
    """A user's machine: its home folder and its hub."""

    home: Path
    hub_url: str

    @property
    def cache(self) -> Path:
        return self.home / "hub"

    @property
    def environment(self) -> dict[str, str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("VIVAVOCE_", "HF_"))
        }
        return kept | {
            "HF_HOME": str(self.home),
            "HF_ENDPOINT": self.hub_url,
            "VIVAVOCE_MODELS": "tone",
        }

    def run(self, *arguments: str | Path) -> Result:
        """Run a command in this process, which the fixture has set up like `environment`."""
        return CliRunner().invoke(command_line, [str(argument) for argument in arguments])

    def pull(self, *arguments: str | Path) -> Path:
        """Return the folder of a pull that went well."""
        done = self.run("models", "pull", *(arguments or (ID,)))
        assert done.exit_code == 0, done.stderr
        return Path(done.stdout.strip().rpartition(" is in ")[2])

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """Run a command in a process of its own, with the user's environment."""
        pipe, command = subprocess.PIPE, [sys.executable, "-m", "vivavoce", *arguments]
        return subprocess.Popen(
            command,
            env=self.environment,
            cwd=self.home,
            stdout=pipe,
            stderr=subprocess.DEVNULL,
            text=True,
        )


@pytest.fixture
def machine(tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> Machine:
    for name in [name for name in os.environ if name.startswith(("VIVAVOCE_", "HF_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("VIVAVOCE_MODELS", "tone")
    monkeypatch.chdir(tmp_path)
    machine = Machine(tmp_path, hub.url)
    # huggingface_hub reads its environment once, when it is imported.
    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    template = hub.url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(machine.cache))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    return machine


@contextmanager
def serving(machine: Machine) -> Iterator[str]:
    """Yield the base URL of `vivavoce serve --qwen ID`, in a process of its own."""
    with machine.start("serve", "--port", "0", "--host", "127.0.0.1", "--qwen", ID) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().endswith("serves tiny-customvoice, tone\n")
            yield process.stdout.readline().split()[1]
        finally:
            process.kill()


def synthesize(url: str, *, expected: int = 200, **fields: object) -> httpx.Response:
    answer = httpx.post(
        f"{url}v1/tts/synthesize", json={"text": "The lamp is on the table.", **fields}, timeout=60
    )
    assert answer.status_code == expected, answer.text
    return answer


def error_line(done: Result) -> str:
    """Return the only line on stderr of a command that failed."""
    assert done.exit_code == 1, done.output
    assert len(done.stderr.splitlines()) == 1, done.stderr
    return done.stderr


def same_files(folder: Path, original: Path) -> bool:
    """True if `folder` holds exactly the files of `original` that a server reads."""
    wanted = {path for path in _files(original) if path.as_posix() not in UNREAD}
    return _files(folder) == wanted and all(
        (folder / p).read_bytes() == (original / p).read_bytes() for p in wanted
    )


def _files(folder: Path) -> set[Path]:
    files = {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
    return {
        path for path in files if path.parts[:2] != (".cache", "huggingface")
    }  # the hub's notes


# -- pull -----------------------------------------------------------------------------------------


def test_pull_brings_what_the_server_reads_and_nothing_else(machine: Machine, hub: Hub) -> None:
    place = machine.pull()
    assert place == machine.cache / STORE / "snapshots" / COMMIT
    assert same_files(place, hub.folder / ID)
    assert not set(hub.served) & set(UNREAD)
    assert not hub.strange


def test_second_pull_fetches_nothing(machine: Machine, hub: Hub) -> None:
    place = machine.pull()
    hub.served.clear()
    assert machine.pull() == place
    assert hub.served.total() == 0


@pytest.mark.parametrize("without_xet", [False, True])
def test_the_hubs_own_library_finds_what_was_pulled_and_fetches_nothing(
    machine: Machine, hub: Hub, monkeypatch: pytest.MonkeyPatch, without_xet: bool
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", without_xet, raising=False)
    place = machine.pull()
    hub.served.clear()
    wanted = ["*.json", WEIGHTS]
    for offline in (True, False):
        assert snapshot_download(ID, allow_patterns=wanted, local_files_only=offline) == str(place)
    assert hub.served.total() == 0


def test_connection_that_is_cut_is_gone_on_with_in_the_same_pull(
    machine: Machine, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1_000)
    hub.cut_after[WEIGHTS] = 40_000
    assert same_files(machine.pull(), hub.folder / ID)
    assert hub.served[WEIGHTS] == (hub.folder / ID / WEIGHTS).stat().st_size


def test_pull_that_was_killed_keeps_whole_files_and_begins_the_cut_one_anew(
    machine: Machine, hub: Hub
) -> None:
    hub.hold_after[WEIGHTS] = 300_000
    with machine.start("models", "pull", ID) as process:
        try:
            while hub.served[WEIGHTS] < 300_000 or not list(machine.cache.rglob("vocab.json")):
                with pytest.raises(subprocess.TimeoutExpired):  # it must not end by itself
                    process.wait(0.02)
        finally:
            process.kill()
    for partial in machine.cache.rglob("*.incomplete"):
        os.utime(partial, (0, 0))
    hub.served.clear()
    assert same_files(machine.pull(), hub.folder / ID)
    assert hub.served[WEIGHTS] == (hub.folder / ID / WEIGHTS).stat().st_size
    assert "vocab.json" not in hub.served
    assert not list(machine.cache.rglob("*.incomplete"))


def test_two_pulls_at_once_fetch_each_file_once(machine: Machine, hub: Hub) -> None:
    hub.hold_after[WEIGHTS] = 300_000
    with (
        machine.start("models", "pull", ID) as first,
        machine.start("models", "pull", ID) as second,
    ):
        while hub.served[WEIGHTS] < 300_000:
            with pytest.raises(subprocess.TimeoutExpired):
                first.wait(0.02)
        hub.release.set()
        assert (first.wait(60), second.wait(60)) == (0, 0)
    for name in ("config.json", "vocab.json", WEIGHTS):
        assert hub.served[name] == (hub.folder / ID / name).stat().st_size


def test_hub_that_is_out_of_order_is_asked_again_for_what_is_missing(
    machine: Machine, hub: Hub
) -> None:
    hub.down.add(WEIGHTS)
    told = error_line(machine.run("models", "pull", ID))
    assert re.search(rf"answered 503 for '\S+/{WEIGHTS}': pull '{ID}' again", told)
    hub.down.clear()
    before = set(hub.served)
    hub.served.clear()
    assert same_files(machine.pull(), hub.folder / ID)
    assert before
    assert not before & set(hub.served)


def test_hub_that_cannot_go_on_with_a_file_gives_it_from_the_start(
    machine: Machine, hub: Hub
) -> None:
    hub.cut_after[WEIGHTS] = 50_000
    hub.ranges = False
    assert same_files(machine.pull(), hub.folder / ID)
    assert hub.served[WEIGHTS] == 50_000 + (hub.folder / ID / WEIGHTS).stat().st_size


def test_file_that_came_wrong_is_told_removed_and_brought_anew(machine: Machine, hub: Hub) -> None:
    hub.spoiled.add(WEIGHTS)
    assert re.search(
        rf"'{WEIGHTS}' of '{ID}'.*checksum.*pull it again",
        error_line(machine.run("models", "pull", ID)),
    )
    assert not list(machine.cache.rglob("*.incomplete"))
    assert (
        f"vivavoce models pull {ID}"
        in machine.run("say", "Hi.", "--model", ID, "-o", "a.wav").stderr
    )
    hub.spoiled.clear()
    assert same_files(machine.pull(), hub.folder / ID)


def test_checkpoint_too_large_for_the_disk_is_refused_before_it_is_begun(
    machine: Machine, hub: Hub
) -> None:
    hub.stated[WEIGHTS] = 10**16
    assert re.search(
        r"10000000\.\d GB are to come.*free some.*HF_HOME",
        error_line(machine.run("models", "pull", ID)),
    )
    assert set(hub.served) == {"config.json"}


def test_folder_that_cannot_be_written_is_told(machine: Machine) -> None:
    (machine.home / "file").touch()
    told = error_line(machine.run("models", "pull", ID, "--dir", machine.home / "file"))
    assert re.search(r"cannot be written to '\S+file\S*'.*--dir", told)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("Someone/Nothing", r"no model 'Someone/Nothing'.*spelling.*HF_TOKEN"),
        (f"{ID}@v9", rf"'{ID}' has no revision 'v9'.*--revision"),
        ("Someone/Other", r"'Someone/Other' is no Qwen3-TTS checkpoint, by its config\.json"),
        (
            "Someone/Bare",
            r"'Someone/Bare' is no whole Qwen3-TTS checkpoint: it has no 'generation_config\.json'",
        ),
        ("qwen3-tts-12hz-0.6b-basE", r"no model 'Qwen/Qwen3-TTS-12Hz-0\.6B-Base'"),
    ],
)
def test_what_cannot_be_pulled_says_why_and_brings_no_weights(
    machine: Machine, hub: Hub, name: str, told: str
) -> None:
    assert re.search(told, error_line(machine.run("models", "pull", name)))
    assert set(hub.served) <= {"config.json"}


@pytest.mark.parametrize("command", ["pull", "rm"])
@pytest.mark.parametrize("name", ["koko", "../../etc", f"{ID}@../x", "a/b/c", ""])
def test_name_that_cannot_be_a_checkpoint_is_wrong_usage(
    machine: Machine, command: str, name: str
) -> None:
    done = machine.run("models", command, name)
    assert done.exit_code == 2
    assert re.search(
        "is no (model that can be pulled|revision)", " ".join(re.split(r"[\s│]+", done.stderr))
    )


def test_gated_checkpoint_asks_for_a_token_and_takes_it_to_the_hub_alone(
    machine: Machine, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.gated.add(ID)
    for token in ("", "hf_bad"):
        monkeypatch.setenv("HF_TOKEN", token)
        assert re.search(
            rf"'{ID}' is gated: .*{ID}, set HF_TOKEN", error_line(machine.run("models", "pull", ID))
        )
    monkeypatch.setenv("HF_TOKEN", "hf_good")
    assert same_files(machine.pull(), hub.folder / ID)
    assert hub.tokens == {("resolve", "Bearer hf_good"), ("store", "")}


def test_hub_that_is_not_there_is_told_with_its_address(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    told = error_line(machine.run("models", "pull", ID))
    assert re.search(r"'http://127\.0\.0\.1:9' cannot be reached.*HF_ENDPOINT", told)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "unset it" in error_line(machine.run("models", "pull", ID))


def test_pull_into_a_folder_needs_no_cache_and_rm_leaves_the_rest_of_it(
    machine: Machine, hub: Hub
) -> None:
    below = machine.home / "tts"
    place = machine.pull(ID, "--dir", below)
    assert place == below / "Tiny-CustomVoice"
    assert same_files(place, hub.folder / ID)
    assert not machine.cache.exists()
    hub.served.clear()
    (place / "merges.txt").write_text("changed", "utf-8")
    os.utime(place / "merges.txt", (2e9, 2e9))  # later than it was pulled
    assert machine.pull(ID, "--dir", below) == place
    assert set(hub.served) == {"merges.txt"}
    (place / "notes.txt").write_text("mine", "utf-8")
    assert machine.run("models", "rm", ID, "--dir", below).exit_code == 0
    assert _files(place) == {Path("notes.txt")}


# -- list and rm ----------------------------------------------------------------------------------


def test_list_shows_what_was_pulled_offered_or_not(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = machine.pull()
    shown = machine.run("models", "list").stdout
    assert re.search(
        rf"^ok  {ID} not offered; {place}, custom_voice, \d+\.\d MB$", shown, re.MULTILINE
    )
    monkeypatch.setenv("VIVAVOCE_QWEN", f"{ID},Someone/Else")
    offered = {
        model["name"]: model for model in json.loads(machine.run("models", "list", "--json").stdout)
    }
    assert list(offered) == ["tiny-customvoice", "else", "tone", "hibari", "kokoro"]
    assert offered["tiny-customvoice"]["detail"] == str(place)
    assert offered["tiny-customvoice"]["task"] == "custom_voice"
    assert not offered["else"]["installed"]
    assert "vivavoce models pull Someone/Else" in offered["else"]["detail"]


def test_rm_removes_the_checkpoint_and_no_other_repository(machine: Machine) -> None:
    machine.pull()
    other = machine.cache / "models--Someone--Else" / "snapshots" / COMMIT / "config.json"
    other.parent.mkdir(parents=True)
    other.write_text('{"model_type": "llama"}', "utf-8")
    assert re.match(
        rf"removed {ID} from \S+{STORE}, \d+\.\d MB\n", machine.run("models", "rm", ID).stdout
    )
    assert not (machine.cache / STORE).exists()
    assert "hf cache rm" in error_line(machine.run("models", "rm", "Someone/Else"))
    assert other.exists()
    assert "nothing to remove" in machine.run("models", "rm", ID).stdout


def test_rm_of_a_pull_that_broke_off_removes_what_came(machine: Machine, hub: Hub) -> None:
    hub.down.add(WEIGHTS)
    error_line(machine.run("models", "pull", ID))
    assert list((machine.cache / STORE / "blobs").iterdir())
    assert machine.run("models", "rm", ID).stdout.startswith("removed")
    assert not (machine.cache / STORE).exists()


def test_revision_is_kept_beside_main_and_removed_alone(machine: Machine, hub: Hub) -> None:
    hub.revisions += ("v1.0",)
    place = machine.pull(ID, "--revision", "v1.0")
    missing = machine.run("say", "Hi.", "--model", ID, "-o", "a.wav").stderr
    assert f"vivavoce models pull {ID}" in missing
    spoken = machine.run("say", "Hi.", "--model", f"{ID}@v1.0", "-o", "a.wav")
    assert "(tiny-customvoice, en)" in spoken.stderr
    assert "nothing to remove" in machine.run("models", "rm", f"{ID}@v2").stdout
    assert place.exists()
    assert machine.run("models", "rm", f"{ID}@v1.0").stdout.startswith("removed")
    assert not place.exists()


# -- what may not be read -------------------------------------------------------------------------


def told_to(
    machine: Machine, *arguments: str | Path, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end in a process that obeys file permissions."""
    command = [*bound_by_permissions(), "-m", "vivavoce", *map(str, arguments)]
    return subprocess.run(
        command,
        env=machine.environment | variables,
        cwd=machine.home,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("name", [WEIGHTS, "speech_tokenizer/config.json"])
def test_file_that_may_not_be_read_is_told_by_user_owner_and_mode(
    machine: Machine, name: str
) -> None:
    place = machine.pull()
    (place / name).resolve().chmod(0)
    user = f"uid {os.geteuid()}"
    reason = rf"cannot be read by {user}: .* belongs to {user} and has mode 000; .*chmod -R a\+rX"
    (model, *_) = json.loads(told_to(machine, "models", "list", "--json", VIVAVOCE_QWEN=ID).stdout)
    assert not model["installed"]
    assert re.search(reason, model["detail"])
    done = told_to(machine, "say", "Hi.", "--model", place, "-o", "a.wav")
    assert done.returncode == 1
    assert re.search(reason, done.stderr)
    assert "damaged" not in done.stderr


def test_doctor_tells_that_weights_may_not_be_read(machine: Machine) -> None:
    (machine.pull() / WEIGHTS).resolve().chmod(0)
    done = told_to(machine, "doctor", "--json", VIVAVOCE_QWEN=ID)
    (detail,) = [
        model["detail"]
        for model in json.loads(done.stdout)["models"]
        if model["name"] == "tiny-customvoice"
    ]
    assert re.search(rf"cannot be read by uid {os.geteuid()}: .*mode 000", detail)


def test_cache_that_may_not_be_read_is_told_and_the_other_models_are_listed(
    machine: Machine,
) -> None:
    machine.pull()
    (machine.cache / STORE / "snapshots").chmod(0)
    done = told_to(machine, "models", "list")
    assert re.search(r"^ok +tone", done.stdout, re.MULTILINE)
    assert re.search(
        rf"the model hub's cache: '\S+/snapshots' cannot be read by uid {os.geteuid()}", done.stderr
    )
    said = told_to(machine, "say", "Hi.", "--model", ID, "-o", "a.wav")
    assert re.search(r"/snapshots' cannot be read by uid", said.stderr)
    (machine.cache / STORE / "snapshots").chmod(0o755)


# -- serve ----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_server_for_a_checkpoint_that_is_not_there_ends_and_says_how_to_pull_it(
    machine: Machine, hub: Hub
) -> None:
    command = [
        sys.executable, "-m", "vivavoce", "serve", "--port", "0", "--host", "127.0.0.1", "--model",
        ID,
    ]  # fmt: skip
    done = subprocess.run(
        command,
        env=machine.environment,
        cwd=machine.home,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 4
    assert f"vivavoce models pull {ID}" in done.stderr
    assert hub.served.total() == 0


def test_server_without_the_checkpoint_says_how_to_pull_it_and_with_it_speaks(
    machine: Machine, hub: Hub
) -> None:
    with serving(machine) as url:
        refused = synthesize(url, model="tiny-customvoice", expected=503).json()["error"]
        card = httpx.get(f"{url}v1/models/tiny-customvoice").json()
        assert (card["state"], card["detail"]) == ("missing", refused["message"])
        assert f"vivavoce models pull {ID}" in card["detail"]
        assert synthesize(url, model="tone").headers["x-model"] == "tone"
        assert hub.served.total() == 0  # serving fetches nothing
        machine.pull()
        answer = synthesize(url, model="tiny-customvoice")  # what it missed has come
        with wave.open(io.BytesIO(answer.content)) as file:
            samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        assert np.abs(samples).max() > 100
        assert len(samples) / 24_000 == pytest.approx(15 * 0.08, abs=0.15)
