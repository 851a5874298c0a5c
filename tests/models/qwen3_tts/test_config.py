"""`config.json`: a released folder is read as it is, and errors name the invalid field."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scripts.make_checkpoint import SHAPES, TINY, make_checkpoint

from vivavoce.errors import EngineFault, MissingDependency, Unsupported
from vivavoce.models.qwen3_tts.checkpoint.config import language_name, read_config


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_checkpoint(tmp_path, "custom_voice")


def change(path: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    """Rewrite the JSON file at `path` as `edit` changes it."""
    values = json.loads(path.read_text(encoding="utf-8"))
    edit(values)
    path.write_text(json.dumps(values), encoding="utf-8")


def test_released_keys_become_the_configuration(folder: Path) -> None:
    config = read_config(folder)
    assert (config.task, config.size, config.codebooks) == ("custom_voice", "0b6", 16)
    assert (config.talker.hidden_size, config.predictor.hidden_size) == (
        TINY.talker.hidden,
        TINY.predictor.hidden,
    )
    assert (config.codec_ids.pad, config.codec_ids.bos, config.codec_ids.eos) == (2148, 2149, 2150)
    assert len(config.speakers) == 9
    assert config.dialects == {"eric": "sichuan_dialect", "dylan": "beijing_dialect"}
    assert len(config.languages) == 11
    assert config.languages[0] == "auto"
    assert config.generation.talker.temperature == config.generation.predictor.temperature == 0.9
    assert config.generation.max_frames == 8191
    assert len(config.suppressed_tokens) == 1023
    assert config.codec_ids.eos not in config.suppressed_tokens


@pytest.mark.parametrize(
    ("task", "size", "follows"),
    [
        ("custom_voice", "tiny", False),
        ("custom_voice", "tiny-1.7b", True),
        ("voice_design", "tiny-1.7b", True),
        ("base", "tiny-1.7b", False),
    ],
)
def test_instructions_are_followed_where_the_model_learned_to(
    task: str, size: str, follows: bool, tmp_path: Path
) -> None:
    assert read_config(make_checkpoint(tmp_path, task, SHAPES[size])).follows_instruct is follows


@pytest.mark.parametrize("language", ["klingon", "beijing_dialect", ""])
def test_language_the_model_does_not_speak_is_refused_with_those_it_does(
    language: str, folder: Path
) -> None:
    config = read_config(folder)
    assert language_name(config, "English") == "english"
    with pytest.raises(Unsupported, match="japanese") as caught:
        language_name(config, language)
    assert caught.value.field == "language"


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (
            lambda c: c.update(tts_model_type="singing"),
            "'singing', must be one of custom_voice, voice_design, base",
        ),
        (lambda c: c.pop("tts_model_type"), "tts_model_type"),
        (lambda c: c.pop("talker_config"), "talker_config"),
        (lambda c: c.update(talker_config=[]), "talker_config must be a JSON object"),
        (lambda c: c["talker_config"].pop("codec_bos_id"), "talker_config.codec_bos_id"),
        (
            lambda c: c["talker_config"]["code_predictor_config"].pop("hidden_size"),
            "code_predictor_config.hidden_size",
        ),
        (lambda c: c["talker_config"].update(num_hidden_layers="28"), "num_hidden_layers is '28'"),
        (lambda c: c["talker_config"].update(attention_bias=True), "attention_bias is True"),
        (lambda c: c["talker_config"].update(hidden_act="gelu"), "hidden_act is 'gelu'"),
        (
            lambda c: c["talker_config"]["code_predictor_config"].update(num_code_groups=8),
            "must be 16",
        ),
        (lambda c: c["talker_config"]["spk_id"].update(ryan="x"), "spk_id.ryan is 'x'"),
        (
            lambda c: c["talker_config"]["spk_id"].update(ryan=3072),
            "spk_id.ryan is 3072, must be a whole number",
        ),
        (
            lambda c: c["talker_config"]["codec_language_id"].update(german=9999),
            "codec_language_id.german is 9999",
        ),
        (
            lambda c: c["talker_config"].update(codec_eos_token_id=3072),
            "codec_eos_token_id is 3072",
        ),
        (
            lambda c: c.update(tts_pad_token_id=1 << 40),
            "tts_pad_token_id is 1099511627776, must be a whole number",
        ),
        (
            lambda c: c["talker_config"].update(text_hidden_size=1 << 40),
            "text_hidden_size is 1099511627776",
        ),
        (lambda c: c["talker_config"].update(head_dim=-1), "head_dim is -1"),
    ],
)
def test_wrong_configuration_names_the_key_to_mend(
    edit: Callable[[dict[str, Any]], object], words: str, folder: Path
) -> None:
    change(folder / "config.json", edit)
    with pytest.raises(EngineFault) as caught:
        read_config(folder)
    assert words in caught.value.message
    assert str(folder) in caught.value.message


def test_speakers_whose_names_cannot_be_used_are_left_out(folder: Path) -> None:
    names = {"中文女": 5, "a\nb": 6, "\ud800": 7, "": 8, "a" * 201: 9}
    change(folder / "config.json", lambda c: c["talker_config"]["spk_id"].update(names))
    assert {*read_config(folder).speakers} & {*names} == {"中文女"}


@pytest.mark.parametrize("name", ["config.json", "generation_config.json"])
def test_absent_file_says_how_to_get_it_and_broken_one_that_it_is_broken(
    name: str, folder: Path
) -> None:
    (folder / name).write_text('{"half": ', encoding="utf-8")
    with pytest.raises(EngineFault, match=name):
        read_config(folder)
    (folder / name).unlink()
    with pytest.raises(MissingDependency, match="download the whole checkpoint"):
        read_config(folder)
