"""Test the command line, in processes of its own for signals and streams."""

import hashlib
import io
import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import webvtt
from typer.testing import CliRunner, Result

from vivavoce import __version__
from vivavoce.cli import app
from vivavoce.cli.output import FORMATS
from vivavoce.cli.serve import listen
from vivavoce.models.tone import CHAR_S

TEXT = "Hello there."
COMMANDS = ["serve", "say", "verify", "voices", "doctor", "trace", "ui"]
posix_only = pytest.mark.skipif(os.name == "nt", reason="signals and scripts of POSIX")


@pytest.fixture(autouse=True)
def tone_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let every command offer only the test model, and keep out of the user's cache."""
    for name in os.environ:
        if name.upper().startswith("VIVAVOCE_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("VIVAVOCE_MODELS", "tone")
    monkeypatch.setenv("VIVAVOCE_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("VIVAVOCE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.delenv("TTS_API_KEY", raising=False)


def run(*arguments: str | Path, stdin: str | bytes | None = None) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], input=stdin)


def error_line(result: Result) -> str:
    """Return the only line on stderr of a command that failed."""
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    assert isinstance(result.exception, SystemExit), (
        "an error got through to the user as a traceback"
    )
    return lines[0]


def seconds(path: Path) -> float:
    with wave.open(str(path)) as file:
        assert path.read_bytes()[40:44] == (2 * file.getnframes()).to_bytes(4, "little")
        assert path.read_bytes()[4:8] == (path.stat().st_size - 8).to_bytes(4, "little")
        return float(file.getnframes() / file.getframerate())


def test_version_is_the_package_s() -> None:
    assert run("--version").stdout == f"vivavoce {__version__}\n"


@pytest.mark.parametrize(
    "command",
    [
        *COMMANDS,
        "bench qwen",
        "models list",
        "models pull",
        "models rm",
        "keys create",
        "keys list",
        "keys revoke",
        "lexicon add",
        "lexicon list",
        "lexicon remove",
        "lexicon test",
        "lexicon import",
        "lexicon export",
        "voices mix",
        "voices add",
        "voices list",
        "voices show",
        "voices remove",
        "voices revoke",
        "voices export",
        "voices import",
    ],
)
def test_help_teaches_by_examples(command: str) -> None:
    result = run(*command.split(), "--help")
    assert result.exit_code == 0
    assert re.search(rf"Examples:\s+.*vivavoce {command}", result.stdout, re.DOTALL)


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from vivavoce.cli import app; app(['--help'], standalone_mode=False); "
        "heavy = {'numpy', 'onnxruntime', 'fastapi', 'httpx', 'pydantic_settings', 'av'}; "
        "print(*heavy & set(sys.modules), file=sys.stderr)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stderr.strip() == ""


def test_say_writes_a_wav_file_of_exact_size_and_sums_up(tmp_path: Path) -> None:
    path = tmp_path / "hello.wav"
    result = run("say", TEXT, "-o", path)
    assert result.exit_code == 0, result.stderr
    assert seconds(path) == pytest.approx(len(TEXT) * CHAR_S, abs=0.01)
    assert result.stdout == ""
    assert re.search(
        rf"{path}: 0\.7 s of speech by sine \(tone, en\) .*first audio after .*real-time factor",
        result.stderr,
    )
    assert list(tmp_path.glob("*.part")) == []


@pytest.mark.parametrize(
    ("name", "magic"),
    [
        ("a.mp3", b"ID3"),
        ("a.opus", b"OggS"),
        ("a.ogg", b"OggS"),
        ("a.flac", b"fLaC"),
        ("a.AAC", b"\xff"),
    ],
)
def test_the_suffix_chooses_the_format(
    name: str, magic: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIVAVOCE_PROVENANCE", "tags")  # a signed flac begins with ID3
    assert run("say", TEXT, "-o", tmp_path / name).exit_code == 0
    assert (tmp_path / name).read_bytes().startswith(magic)


def test_format_beats_the_suffix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIVAVOCE_PROVENANCE", "tags")
    assert run("say", TEXT, "-o", tmp_path / "a.wav", "--format", "flac").exit_code == 0
    assert (tmp_path / "a.wav").read_bytes().startswith(b"fLaC")


def test_say_reads_stdin_and_writes_stdout(tmp_path: Path) -> None:
    result = run("say", "-", "-o", "-", stdin="\ufeffGrüß Gott.".encode())
    assert result.stdout_bytes.startswith(b"RIFF")
    assert "stdout: " in result.stderr
    run("say", "Grüß Gott.", "-o", tmp_path / "a.wav")
    streamed = result.stdout_bytes.partition(b"data")[2][4:]
    assert streamed == (tmp_path / "a.wav").read_bytes()[44:].partition(b"LIST")[0]


def test_the_options_reach_the_model(tmp_path: Path) -> None:
    options = [
        "--speaker", "hum", "--language", "german", "--speed", "0.5", "--seed", "3",
        "--sample-rate", "16000",
    ]  # fmt: skip
    result = run("say", TEXT, "-o", tmp_path / "a.wav", *options, "--instruct", "Whisper.")
    assert "by hum (tone, de)" in result.stderr
    assert "tone does not have instruct" in result.stderr
    assert seconds(tmp_path / "a.wav") == pytest.approx(2 * len(TEXT) * CHAR_S, rel=0.1)


def test_a_model_named_on_the_command_line_need_not_be_configured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIVAVOCE_MODELS", "hibari")
    result = run("say", TEXT, "--model", "tone", "-o", tmp_path / "a.wav")
    assert "(tone, en)" in result.stderr


def test_hibari_says_a_sentence_without_a_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIVAVOCE_MODELS", "hibari")
    result = run("say", "The quick brown fox jumps over the lazy dog.", "-o", tmp_path / "fox.wav")
    assert result.exit_code == 0, result.stderr
    assert 1.5 < seconds(tmp_path / "fox.wav") < 6


@pytest.mark.parametrize("format", FORMATS)
def test_say_speaks_through_a_server_what_it_speaks_here(
    format: str, tone_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIVAVOCE_PROVENANCE", "tags")  # no two signed files are equal
    here, there = tmp_path / f"here.{format}", tmp_path / f"there.{format}"
    assert run("say", TEXT, "-o", here, "--model", "tone").exit_code == 0
    result = run("say", TEXT, "-o", there, "--server", tone_url)
    assert result.exit_code == 0, result.stderr
    assert "by sine (tone, en)" in result.stderr
    assert there.read_bytes() == here.read_bytes()


@pytest.mark.parametrize("form", ["vtt", "srt"])
@pytest.mark.parametrize("server", [False, True], ids=["here", "server"])
def test_say_writes_subtitles_and_times_beside_the_audio(
    form: str, server: bool, tone_url: str, tmp_path: Path
) -> None:
    text = "Dr. Lee paid $4.50. Fine, she said."
    audio, shown, times = (tmp_path / name for name in ("a.wav", f"a.{form}", "a.json"))
    where = ("--server", tone_url) if server else ()
    result = run("say", text, "-o", audio, "--subtitles", shown, "--timestamps", times, *where)
    assert result.exit_code == 0, result.stderr
    captions = webvtt.from_buffer(io.StringIO(shown.read_text("utf-8")), form)
    assert " ".join(line for caption in captions for line in caption.lines) == text
    found = json.loads(times.read_text("utf-8"))
    assert found["timing"] in ("model", "aligned", "estimated")
    assert found["words"][-1]["word"] == "said"
    assert found["words"][-1]["end_s"] <= seconds(audio)


def test_say_refuses_subtitles_of_another_format(tmp_path: Path) -> None:
    result = run("say", TEXT, "-o", tmp_path / "a.wav", "--subtitles", tmp_path / "a.ass")
    assert result.exit_code == 2
    assert ".vtt or .srt" in result.stderr
    assert not (tmp_path / "a.wav").exists()


def test_subtitles_that_cannot_be_written_are_named_alone(tmp_path: Path) -> None:
    shown = tmp_path / "none" / "a.vtt"
    result = run("say", TEXT, "-o", tmp_path / "a.wav", "--subtitles", shown)
    assert result.exit_code == 1
    assert f"cannot write {str(shown)!r}" in result.stderr
    assert "-o" not in result.stderr.partition(str(shown))[2]


@pytest.mark.parametrize("server", [False, True], ids=["here", "server"])
def test_a_refusal_is_one_line_and_leaves_the_old_file(
    server: bool, tone_url: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.wav"
    path.write_text("old")
    result = run(
        "say", TEXT, "-o", path, "--speaker", "bob", *(["--server", tone_url] if server else [])
    )
    assert result.exit_code == 1
    assert re.match(
        r"vivavoce: speaker 'bob' is unknown to 'tone'; choose one of sine, hum", error_line(result)
    )
    assert path.read_text() == "old"
    assert list(tmp_path.glob("*.part")) == []


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["say", TEXT, "-o", "a.xyz"], 2, "does not end in one of wav"),
        (["say", TEXT, "-o", "a.wav", "--format", "au"], 2, "'au' is not one of wav"),
        (["say", TEXT, "--format", "mp3"], 2, "playing takes wav"),
        (["say", TEXT, "-o", "a.wav", "--speed", "9"], 2, "speed"),
        (["say", "-o", "a.wav"], 2, "Missing argument"),
        (["say", TEXT, "-o", "absent/a.wav"], 1, "cannot write 'absent/a.wav'"),
        (["say", "…", "-o", "a.wav"], 1, "nothing that can be spoken"),
        (["say", TEXT, "-o", "a.wav", "--language", "klingon"], 1, "'klingon'"),
        (["say", TEXT, "-o", "a.wav", "--model", "violin"], 1, "'violin'"),
        (["say", TEXT, "-o", "a.wav", "--server", "http://127.0.0.1:1"], 1, "`vivavoce serve`"),
        (
            ["say", TEXT, "-o", "a.wav", "--config", "absent.toml"],
            2,
            "cannot read the settings file 'absent.toml'",
        ),
        (["voices", "--model", "violin"], 1, "'violin'"),
        (["serve", "--port", "70000"], 2, "'port' from --port has the value 70000"),
        (["serve", "--models", "violin"], 2, "'violin'"),
        (["serve", "--load-models", "never"], 2, "never"),
        (["sing"], 2, "No such command 'sing'"),
        (["models", "pull", "violin"], 2, "violin"),
    ],
)
def test_errors_are_told_in_words_with_their_exit_code(
    arguments: list[str], code: int, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(*arguments)
    assert result.exit_code == code
    assert words in " ".join(re.sub("[│╭╮╰╯─]", " ", result.stderr).split())
    assert isinstance(result.exception, SystemExit)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_variable_is_refused_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIVAVOCE_MODLES", "tone")
    result = run("voices")
    assert result.exit_code == 2
    assert "'VIVAVOCE_MODLES': did you mean 'VIVAVOCE_MODELS'?" in error_line(result)


@posix_only
def test_say_without_a_file_plays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    player = tmp_path / "aplay"
    player.write_text(f'#!/bin/sh\n/bin/cp "$2" {tmp_path}/played.wav\n')
    player.chmod(player.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert run("say", TEXT).exit_code == 0
    assert seconds(tmp_path / "played.wav") == pytest.approx(len(TEXT) * CHAR_S, abs=0.01)


def test_say_without_a_player_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    result = run("say", TEXT)
    assert result.exit_code == 1
    assert "write a file with -o hello.wav" in error_line(result)


@pytest.mark.parametrize("server", [False, True], ids=["here", "server"])
def test_voices_are_listed_for_programs(server: bool, tone_url: str) -> None:
    voices = json.loads(run("voices", "--json", *(["--server", tone_url] if server else [])).stdout)
    assert {"sine", "hum"} <= {voice["id"] for voice in voices}
    assert {voice["model"] for voice in voices} == {"tone"}


def test_voices_can_be_chosen_by_language() -> None:
    assert "sine" in run("voices", "--language", "german").stdout
    assert "No voice fits" in run("voices", "--language", "hindi").stdout


def test_doctor_says_that_this_machine_speaks() -> None:
    result = run("doctor")
    assert result.exit_code == 0
    assert "ok  tone: real-time factor" in result.stdout
    assert "This machine can speak." in result.stdout
    assert f"vivavoce {__version__}, Python" in result.stdout


def test_doctor_fails_and_says_why_where_nothing_speaks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIVAVOCE_MODELS", "kokoro")
    result = run("doctor", "--json")
    assert result.exit_code == 1
    diagnosis = json.loads(result.stdout)
    assert diagnosis["speaks"] is False
    assert "vivavoce models pull kokoro" in diagnosis["models"][0]["detail"]


def test_doctor_checks_every_declared_package() -> None:
    packages = {
        package["name"]: package
        for package in json.loads(run("doctor", "--json").stdout)["packages"]
    }
    assert packages["numpy"]["version"]
    assert [
        package["name"]
        for package in packages.values()
        if package["extra"] is None and package["wrong"]
    ] == []


def test_models_are_listed_with_their_state(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIVAVOCE_MODELS", "tone,kokoro")
    models = {model["name"]: model for model in json.loads(run("models", "list", "--json").stdout)}
    assert models["tone"]["installed"] is True
    assert models["kokoro"]["installed"] is False
    assert "vivavoce models pull kokoro" in models["kokoro"]["detail"]
    assert "kokoro" in run("models", "list").stdout


def test_files_of_a_model_are_found_sized_and_removed(tmp_path: Path) -> None:
    place = tmp_path / "cache" / "kokoro"
    place.joinpath("voices").mkdir(parents=True)
    for name in ("model.onnx", "vocab.json", "voices/af_heart.bin"):
        place.joinpath(name).write_bytes(bytes(1_000_000))
    assert f"ok  kokoro  not offered; {place}, 3.0 MB" in run("models", "list").stdout
    assert run("models", "rm", "kokoro").stdout == f"removed {place}, 3.0 MB\n"
    assert not place.exists()


def test_removing_what_is_not_there_says_so() -> None:
    result = run("models", "rm", "kokoro")
    assert result.exit_code == 0
    assert "nothing" in result.stdout


def test_a_taken_port_is_told_and_exits_with_3() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = run("serve", "--host", "127.0.0.1", "--port", str(port))
    assert result.exit_code == 3
    assert error_line(result) == (
        f"vivavoce: port {port} on '127.0.0.1' is taken: stop what listens there, or choose "
        "another with --port"
    )


def test_a_key_is_printed_once_and_kept_as_a_hash(tmp_path: Path) -> None:
    made = run("keys", "create", "quest", "--requests-per-minute", "30", "--max-concurrent", "2")
    key = made.stdout.strip()
    assert re.fullmatch(r"vv_[\w-]{43}", key)
    file = tmp_path / "data" / "keys.json"
    assert key not in file.read_text() + made.stderr
    assert hashlib.sha256(key.encode()).hexdigest() in file.read_text()
    if os.name == "posix":
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    (listed,) = json.loads(run("keys", "list", "--json").stdout)
    assert listed["name"] == "quest"
    assert (listed["scopes"], listed["requests_per_minute"], listed["max_concurrent"]) == (
        ["speak"],
        30,
        2,
    )
    assert "sha256" not in listed
    assert key != run("keys", "create", "other").stdout.strip()


def test_keys_are_listed_and_revoked_by_name() -> None:
    assert "no keys, and the server asks for none" in run("keys", "list").stdout
    for name in ("quest", "phone"):
        assert run("keys", "create", name, "--scopes", "manage, speak").exit_code == 0
    assert re.search(r"quest +speak, manage +no limit", run("keys", "list").stdout)
    assert run("keys", "revoke", "quest").stdout == "revoked quest\n"
    assert json.loads(run("keys", "list", "--json").stdout)[0]["name"] == "phone"
    assert "the server still asks" in run("keys", "revoke", "phone").stderr
    assert "the server still asks" in run("keys", "list").stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["create", "quest"], "'quest' has a key already"),
        (["create", "a b"], "'a b' cannot be a key's"),
        (["create", "phone", "--scopes", "speak,fly"], "'fly' is none: choose from speak, manage"),
        (["create", "phone", "--scopes", ""], "'' is none"),
        (["revoke", "phone"], "'phone' has no key"),
    ],
)
def test_a_key_that_cannot_be_is_refused_and_nothing_changes(
    arguments: list[str], words: str, tmp_path: Path
) -> None:
    run("keys", "create", "quest")
    before = (tmp_path / "data" / "keys.json").read_bytes()
    result = run("keys", *arguments)
    assert result.exit_code == 1
    assert words in error_line(result)
    assert (tmp_path / "data" / "keys.json").read_bytes() == before
    assert [file.name for file in (tmp_path / "data").iterdir()] == ["keys.json"]


def test_two_writers_of_the_keys_do_not_lose_each_other_s(tmp_path: Path) -> None:
    run("keys", "create", "quest")
    lock = tmp_path / "data" / "keys.json.new"
    lock.touch()
    refused = run("keys", "create", "phone")
    assert refused.exit_code == 2
    assert f"{str(lock)!r} exists, so another process changes" in error_line(refused)
    lock.unlink()
    assert run("keys", "create", "phone").exit_code == 0


def test_a_folder_that_cannot_be_made_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("VIVAVOCE_DATA_DIR", str(tmp_path / "file" / "data"))
    result = run("keys", "create", "quest")
    assert result.exit_code == 2
    assert "choose another data_dir" in error_line(result)


def test_serve_does_not_start_on_keys_that_it_cannot_read(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "keys.json").write_text("{")
    result = run("serve", "--port", "0")
    assert result.exit_code == 2
    assert "keys.json' is not as `vivavoce keys` writes it" in error_line(result)


@contextmanager
def served(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str, str]]:
    """Yield `vivavoce serve` on a free port, its address, and its output at the start."""
    command = [sys.executable, "-m", "vivavoce", "serve", "--port", "0", *arguments]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            lines: list[str] = []
            while not (lines and lines[-1].startswith("  try")):
                lines.append(process.stdout.readline())
                assert lines[-1], process.communicate()
            said = "".join(lines)
            found = re.search(r"^  page +(\S+)/$", said, re.MULTILINE)
            assert found
            yield process, found[1], said
        finally:
            process.kill()


@posix_only
def test_sigterm_lets_a_running_request_finish(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIVAVOCE_TONE_REAL_TIME_FACTOR", "0.3")
    body = {"text": TEXT, "format": "pcm", "stream": True}
    with (
        served() as (process, url, _),
        httpx.stream("POST", f"{url}/v1/tts/synthesize", json=body) as response,
    ):
        chunks = response.iter_bytes()
        received = next(chunks)
        process.send_signal(signal.SIGTERM)
        received += b"".join(chunks)
        assert len(received) / 2 / 24_000 == pytest.approx(len(TEXT) * CHAR_S, abs=0.01)
        assert process.wait(timeout=20) == 0


@posix_only
def test_serve_says_where_it_is_and_answers_there() -> None:
    with served("--host", "127.0.0.1") as (process, url, said):
        assert httpx.get(f"{url}/health/live").json() == {"status": "ok"}
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
        assert f"curl {url}/v1/tts/synthesize" in said
        assert "Traceback" not in errors
        assert process.returncode == 130


@posix_only
@pytest.mark.parametrize(
    ("host", "with_key", "warned"),
    [
        ("0.0.0.0", False, True),
        ("0.0.0.0", True, False),
        ("127.0.0.1", False, False),
        ("localhost", False, False),
    ],
)
def test_serve_warns_that_strangers_may_use_it_if_they_may(
    host: str, with_key: bool, warned: bool
) -> None:
    key = run("keys", "create", "quest").stdout.strip() if with_key else None
    with served("--host", host) as (process, url, _):
        body = {"text": TEXT}
        assert httpx.post(f"{url}/v1/tts/synthesize", json=body, timeout=60).status_code == (
            401 if with_key else 200
        )
        bearer = {"Authorization": f"Bearer {key}"}
        assert (
            httpx.post(
                f"{url}/v1/tts/synthesize", json=body, headers=bearer, timeout=60
            ).status_code
            == 200
        )
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert ("warning: no API key is asked for" in errors) is warned
    assert key is None or key not in errors


@posix_only
def test_say_shows_the_server_its_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = run("keys", "create", "quest").stdout.strip()
    with served("--host", "127.0.0.1") as (_, url, _):
        said = ("say", TEXT, "-o", tmp_path / "a.wav", "--server", url)
        assert "'Authorization: Bearer KEY'" in error_line(run(*said))
        assert run(*said, "--key", key).exit_code == 0
        monkeypatch.setenv("TTS_API_KEY", key)
        assert run(*said).exit_code == 0


@posix_only
def test_serve_drops_a_request_that_trickles_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIVAVOCE_RECEIVE_TIMEOUT_S", "0.3")
    with served("--host", "127.0.0.1") as (_, url, _):
        address = httpx.URL(url)
        with socket.create_connection((address.host, address.port or 0), timeout=10) as connection:
            connection.sendall(b"POST /v1/tts/synthesize HTTP/1.1\r\n")
            assert connection.recv(12) == b"HTTP/1.1 408"


@posix_only
def test_ctrl_c_ends_say_with_130_and_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIVAVOCE_TONE_REAL_TIME_FACTOR", "1")
    command = [
        sys.executable, "-m", "vivavoce", "say", "A long text. " * 100, "-o", "-", "--format",
        "pcm",
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.read(1)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 130
    assert b"Traceback" not in errors


def test_lexicon_is_changed_tried_and_exchanged(tmp_path: Path) -> None:
    assert "no rules" in run("lexicon", "list").stdout
    run("lexicon", "add", "SQL", "--alias", "sequel")
    run("lexicon", "add", "Nuuk", "--ipa", "nuːk", "--language", "english", "--voice", "sine")
    listed = json.loads(run("lexicon", "list", "--json").stdout)
    assert [(rule["word"], rule["language"]) for rule in listed] == [("SQL", None), ("Nuuk", "en")]
    assert "/nuːk/" in run("lexicon", "list").stdout
    assert run("lexicon", "test", "SQL, *Nuuk*").stdout == "sequel, Nuuk\n"
    said = run("lexicon", "test", "SQL, Nuuk", "--voice", "Sine").stdout
    assert said == "sequel, /nuːk/\n"

    path = tmp_path / "words.pls"
    run("lexicon", "export", "-o", path)
    assert run("lexicon", "export").stdout == path.read_text("utf-8")
    run("lexicon", "remove", "sql")
    assert "added 1 rule " in run("lexicon", "import", path).stdout
    assert run("lexicon", "test", "SQL").stdout == "sequel\n"


def test_lexicon_is_used_by_say(tmp_path: Path) -> None:
    run("lexicon", "add", "X", "--alias", "a much longer text")
    run("say", "X", "-o", tmp_path / "a.wav")
    assert seconds(tmp_path / "a.wav") == pytest.approx(
        len("a much longer text") * CHAR_S, abs=0.01
    )


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("add", "x"), "needs an alias, or ipa"),
        (("add", "x", "--ipa", "t♥"), "not IPA: ♥"),
        (("add", "x", "--alias", "y", "--language", "tlh"), "Unknown language"),
        (("remove", "x"), "no rule for 'x'"),
        (("export", "-o", "nowhere/x.pls"), "cannot write"),
        (("import", __file__), "line 1, column 3"),
    ],
)
def test_lexicon_refuses_in_one_line(arguments: tuple[str, ...], why: str) -> None:
    result = run("lexicon", *arguments)
    assert result.exit_code == 1
    assert why in error_line(result)


@posix_only
def test_no_small_message_waits_for_an_acknowledgement() -> None:
    with listen("127.0.0.1", 0) as listening, socket.create_connection(listening.getsockname()):
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
