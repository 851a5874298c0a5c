"""Check `vivavoce voices`, on a folder of its own."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.conftest import serving, tone_pool
from tests.voices.test_recording import speech
from vivavoce.api.app import create_app
from vivavoce.audio import wav_bytes
from vivavoce.cli import app
from vivavoce.keys import FILE_NAME, KeyFile
from vivavoce.settings import Settings

AGREED = ("--consent-by", "Anna Lind", "--consent-words", "You may use my voice.")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VIVAVOCE_DATA_DIR", str(tmp_path))
    Path("anna.wav").write_bytes(wav_bytes(speech(2, 20), 24_000))
    return tmp_path / "voices"


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["voices", *arguments])
    assert result.exit_code == 0, result.output
    return result.output


def refused(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["voices", *arguments])
    assert result.exit_code == 1, result.output
    return result.stderr


def test_mix_is_saved_shown_listed_and_removed() -> None:
    assert "no saved voices" in run("list")
    assert run("mix", "warm", "coral(2)+af_sky(1)", "--description", "An evening voice.")
    shown = json.loads(run("show", "warm"))
    assert (shown["formula"], shown["description"]) == (
        "af_bella(0.666666667)+af_sky(0.333333333)",
        "An evening voice.",
    )
    assert json.loads(run("list", "--json")) == [shown]
    assert "warm" in run("list")
    assert run("remove", "WARM") == "removed warm\n"
    assert json.loads(run("list", "--json")) == []


def test_recording_is_saved_exported_imported_and_revoked(folder: Path) -> None:
    said = run("add", "anna", "anna.wav", "--words", "Hi.", "--expires", "2999-12-31", *AGREED)
    assert "warning: short" in said
    assert "warning: noisy" in said
    shown = json.loads(run("show", "anna"))
    assert (shown["kind"], shown["words"]) == ("cloned", "Hi.")
    assert shown["consent"]["expires"] == "2999-12-31"
    run("export", "anna")
    run("remove", "anna")
    run("import", "anna.vvoice", "--name", "anna-2")
    assert json.loads(run("show", "anna-2"))["id"] == shown["id"]
    assert (folder / shown["id"] / "recording.flac").exists()
    run("revoke", "anna-2")
    assert not (folder / shown["id"] / "recording.flac").exists()
    assert "revoked" in json.loads(run("show", "anna-2"))["ended"]
    assert "its consent was revoked" in refused("export", "anna-2")


def test_words_and_consent_come_later() -> None:
    run("add", "anna", "anna.wav", "--expires", "2999-12-31", *AGREED)
    first = json.loads(run("show", "anna"))
    said = run("edit", "anna", "--words", "Good morning.", "--description", "New.")
    now = json.loads(run("show", first["id"]))
    assert said == f"changed anna, {now['id']}\n"
    assert (now["words"], now["formerly"], now["description"]) == (
        "Good morning.",
        [first["id"]],
        "New.",
    )
    assert run("consent", "anna", *AGREED) == "renewed anna, for ever\n"
    renewed = json.loads(run("show", "anna"))
    assert (renewed["consent"]["expires"], renewed["words"]) == (None, "Good morning.")
    assert renewed["former_consents"][0]["consent"]["expires"] == "2999-12-31"
    assert "consent.expires '2020-01-01' is over" in refused(
        "consent", "anna", "--expires", "2020-01-01", *AGREED
    )
    assert "consent lacks 'by'" in refused("consent", "anna")
    assert "words is empty" in refused("edit", "anna", "--words", " ")
    nothing = CliRunner().invoke(app, ["voices", "edit", "anna"])
    assert (nothing.exit_code, "nothing is to change" in nothing.stderr) == (2, True)
    assert json.loads(run("show", "anna")) == renewed


def test_voices_of_a_server_are_kept_by_the_same_commands(tmp_path: Path) -> None:
    there = tmp_path / "there"
    key = KeyFile(there / FILE_NAME).create("one")
    with serving(create_app(Settings(data_dir=there), tone_pool())) as url:
        at = ("--server", url, "--key", key)
        run("mix", "warm", "af_bella(1)", *at)
        added = run("add", "anna", "anna.wav", "--language", "english", *AGREED, *at)
        assert "warning: short" in added
        assert "saved anna" in added
        shown = json.loads(run("show", "anna", *at))
        assert (shown["owner"], shown["languages"]) == ("one", ["en"])
        assert [voice["name"] for voice in json.loads(run("list", "--json", *at))] == [
            "warm",
            "anna",
        ]
        assert json.loads(run("list", "--json")) == []  # of this machine
        run("edit", "anna", "--words", "Hello.", *at)
        assert json.loads(run("show", "anna", *at))["formerly"] == [shown["id"]]
        run("consent", "anna", *AGREED, *at)
        run("export", "anna", *at)
        run("remove", "anna", *at)
        run("import", "anna.vvoice", *at)
        run("revoke", "anna", *at)
        assert "its consent was revoked" in refused("export", "anna", *at)
        design = ("design", "A man.", "--name", "merlin", "--pick", "1", "-o", "previews")
        assert "vivavoce models pull" in refused(*design, *at)
        assert "an API key is needed" in refused("show", "anna", "--server", url)
        assert "no voice 'nobody'" in refused("show", "nobody", *at)


def test_refusals_say_what_to_do_and_leave_nothing(folder: Path) -> None:
    Path("bad.vvoice").write_bytes(b"PK\3\4 and no more")
    for arguments, says in (
        (("mix", "warm", "af_bella(nan)"), "write a mix like"),
        (("mix", "warm", "af_bella+nobody"), "'nobody' is unknown"),
        (("mix", "../warm", "af_bella"), "take 1 to 64 letters"),
        (("mix", "nova", "af_bella"), "choose another"),
        (("mix", "heart", "af_bella"), "choose another"),
        (("add", "anna", "anna.wav"), "--consent-by"),
        (("add", "anna", "anna.wav", "--consent-by", "Anna"), "consent lacks 'words'"),
        (("add", "anna", "none.wav", *AGREED), "cannot be read"),
        (("add", "anna", "bad.vvoice", *AGREED), "cannot be read as wav"),
        (("import", "bad.vvoice"), "not a whole zip file"),
        (("show", "nobody"), "no voice 'nobody' is saved"),
    ):
        assert says in refused(*arguments)
    assert not folder.exists()


def test_output_that_cannot_be_written_is_told(folder: Path) -> None:
    run("mix", "warm", "af_bella(1)")
    Path("file").write_text("in the way")
    for output in ("nowhere/warm.vvoice", "."):
        assert "cannot write" in refused("export", "warm", "-o", output)
    assert "cannot write into" in refused("design", "A man.", "--name", "merlin", "-o", "file/x")


def test_setting_lifts_the_rule_of_consent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIVAVOCE_REQUIRE_CONSENT", "false")
    run("add", "anna", "anna.wav")
    assert json.loads(run("show", "anna"))["consent"] is None
