"""Test the sources of settings, and the errors for wrong ones."""

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from vivavoce.errors import SettingsError
from vivavoce.settings import Settings


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.upper().startswith("VIVAVOCE_"):
            monkeypatch.delenv(name)


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_defaults_serve_the_embedded_voices_to_the_network() -> None:
    settings = Settings.read()
    assert (settings.host, settings.port) == ("0.0.0.0", 8000)
    assert settings.models == ("hibari", "kokoro")
    assert settings.default_model == "auto"
    assert settings.cache_dir.name == "vivavoce"


def test_each_source_beats_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = written(
        tmp_path / "v.toml", 'port = 1\nmax_queued_requests = 1\nthreads = 1\nmodels = ["tone"]'
    )
    monkeypatch.setenv("VIVAVOCE_PORT", "2")
    monkeypatch.setenv("VIVAVOCE_MAX_QUEUED_REQUESTS", "2")
    settings = Settings.read(config, port=3)
    assert (settings.port, settings.max_queued_requests, settings.threads) == (3, 2, 1)
    assert settings.models == ("tone",)


def test_an_override_of_none_counts_as_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIVAVOCE_PORT", "2")
    assert Settings.read(port=None).port == 2


def test_the_environment_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIVAVOCE_CONFIG", str(written(tmp_path / "v.toml", "port = 4")))
    assert Settings.read().port == 4


def test_the_constructor_reads_neither_file_nor_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("VIVAVOCE_PORT", "2")
    assert Settings().port == 8000


def test_lists_in_the_environment_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIVAVOCE_MODELS", "tone, hibari,")
    assert Settings.read().models == ("tone", "hibari")


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIVAVOCE_KOKORO_DIR", "")
    monkeypatch.setenv("VIVAVOCE_CONFIG", "")
    assert Settings.read().kokoro_dir is None


def test_folders_may_start_at_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert Settings.read(kokoro_dir="~/voices").kokoro_dir == tmp_path / "voices"


def test_settings_are_frozen() -> None:
    settings = Settings()
    with pytest.raises(ValidationError, match="frozen"):
        settings.port = 1


def test_an_unknown_key_in_the_file_names_itself_the_file_and_the_closest(tmp_path: Path) -> None:
    config = written(tmp_path / "v.toml", "prot = 1")
    with pytest.raises(
        SettingsError, match=r"v\.toml: unknown setting 'prot': did you mean 'port'\?"
    ):
        Settings.read(config)


def test_an_unknown_variable_names_itself_and_the_closest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIVAVOCE_LOGLEVEL", "info")
    with pytest.raises(
        SettingsError, match=r"'VIVAVOCE_LOGLEVEL': did you mean 'VIVAVOCE_LOG_LEVEL'\?"
    ):
        Settings.read()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("port", "70000"),
        ("port", "eighty"),
        ("load_models", "never"),
        ("models", ","),
        ("threads", "0"),
        ("max_ahead_s", "0"),
        ("max_ahead_s", "nan"),
        ("shutdown_timeout_s", "-1"),
        ("log_level", "loud"),
    ],
)
def test_a_wrong_value_names_the_setting_the_value_and_its_origin(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"VIVAVOCE_{name.upper()}", value)
    with pytest.raises(SettingsError) as caught:
        Settings.read()
    assert f"setting '{name}' from VIVAVOCE_{name.upper()} has the value" in caught.value.message


def test_every_wrong_value_is_told_at_once(tmp_path: Path) -> None:
    config = written(tmp_path / "v.toml", "max_queued_requests = 0")
    with pytest.raises(SettingsError) as caught:
        Settings.read(config, port=-1)
    assert "'port' from --port has the value -1" in caught.value.message
    assert f"'max_queued_requests' in {config} has the value 0" in caught.value.message


def test_the_default_model_must_be_offered() -> None:
    with pytest.raises(SettingsError, match=r"model 'kokoro' is not among models \(tone\)"):
        Settings.read(models="tone", default_model="kokoro")


@pytest.mark.parametrize(
    "text", ["port = ", "[port", "\ud800"], ids=["no value", "no bracket", "not UTF-8"]
)
def test_a_file_that_is_not_toml_is_refused_by_name(text: str, tmp_path: Path) -> None:
    config = tmp_path / "v.toml"
    config.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(SettingsError, match=r"v\.toml' is not valid TOML"):
        Settings.read(config)


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot read the settings file"):
        Settings.read(tmp_path / "absent.toml")


def test_every_setting_is_described() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_checkpoints_are_models_named_by_their_folders_before_all_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("VIVAVOCE_QWEN", f"{tmp_path / 'One-CV'}, {tmp_path / 'two'}/")
    settings = Settings.read()
    assert settings.checkpoints == {"one-cv": tmp_path / "One-CV", "two": tmp_path / "two"}
    assert settings.offered == ("one-cv", "two", "hibari", "kokoro")
    assert settings.default_model == "auto"
    assert Settings.read(default_model="two").default_model == "two"


@pytest.mark.parametrize("written", ["{}/Custom", "{}/Custom/", "./Custom", "Custom"])
def test_model_may_be_the_folder_of_a_checkpoint(
    written: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Custom").mkdir()
    (tmp_path / "Custom" / "config.json").touch()
    settings = Settings.read(default_model=written.format(tmp_path))
    assert settings.default_model == "custom"
    assert settings.checkpoints["custom"].resolve() == tmp_path / "Custom"


def test_model_that_is_a_folder_stands_beside_the_configured_ones_once(tmp_path: Path) -> None:
    one, two = str(tmp_path / "one"), str(tmp_path / "two")
    assert Settings.read(default_model=one, qwen=two).offered[:2] == ("one", "two")
    assert Settings.read(default_model=one, qwen=f"{two},{one}").offered[:2] == ("two", "one")


@pytest.mark.parametrize(("folders", "twice"), [("a/x,b/X", "x"), ("a/hibari", "hibari")])
def test_two_models_of_one_name_are_refused(folders: str, twice: str) -> None:
    with pytest.raises(SettingsError, match=f"'{twice}' would be the name of two models: rename"):
        Settings.read(qwen=folders)


def test_model_that_is_neither_offered_nor_a_folder_is_refused_with_the_choice(
    tmp_path: Path,
) -> None:
    with pytest.raises(SettingsError, match=r"'three' is not among models \(two, hibari, kokoro\)"):
        Settings.read(qwen=str(tmp_path / "two"), default_model="three")


@pytest.mark.parametrize("hub_id", ["Qwen/Qwen3-TTS-12Hz-0.6B-Base", "me/voice_2", "me/voice@v1.0"])
def test_checkpoint_may_be_a_hub_id(
    hub_id: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    name = hub_id.rpartition("/")[2].partition("@")[0].lower()
    settings = Settings.read(default_model=hub_id, qwen=f"{hub_id},{tmp_path / 'other'}")
    assert settings.default_model == name
    assert settings.checkpoints == {name: hub_id, "other": tmp_path / "other"}


def test_folder_of_the_name_of_a_hub_id_is_the_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "me" / "voice").mkdir(parents=True)
    assert Settings.read(qwen="me/voice").checkpoints == {"voice": Path("me/voice")}


@pytest.mark.parametrize(
    "written", ["./voice", "/me/voice", "me\\voice", "a/b/c", "me/voice/", "voice", "../voice"]
)
def test_what_is_written_like_a_path_is_a_folder(
    written: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert Settings.read(qwen=written).qwen == (Path(written),)


def test_checkpoint_that_is_no_text_is_told_once(tmp_path: Path) -> None:
    config = written(tmp_path / "v.toml", "qwen = [1]")
    with pytest.raises(
        SettingsError,
        match=r"^setting 'qwen' in \S+ has the value 1: it should be a folder, or a hub id",
    ):
        Settings.read(config)


@pytest.mark.parametrize(
    "old", ["model", "load", "grace_s", "model_process", "max_waiting", "max_waiting_s"]
)
def test_a_setting_by_its_old_name_is_refused_with_the_new_one(
    old: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SettingsError, match=rf"the setting '{old}' is called '\w+' now") as caught:
        Settings.read(written(tmp_path / "v.toml", f"{old} = 1"))
    new = caught.value.message.split("'")[-2]
    assert new in Settings.model_fields
    monkeypatch.setenv(f"VIVAVOCE_{old.upper()}", "1")
    with pytest.raises(
        SettingsError, match=rf"'VIVAVOCE_{old.upper()}' is called 'VIVAVOCE_{new.upper()}' now"
    ):
        Settings.read()
