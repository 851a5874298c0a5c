"""Check `vivavoce voices`, on a folder of its own."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.voices.test_recording import speech
from vivavoce.audio import wav_bytes
from vivavoce.cli import app

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


def test_setting_lifts_the_rule_of_consent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIVAVOCE_REQUIRE_CONSENT", "false")
    run("add", "anna", "anna.wav")
    assert json.loads(run("show", "anna"))["consent"] is None
