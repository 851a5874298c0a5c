"""Test that the demo page designs voices, with random checkpoints of Qwen3-TTS."""

import pytest

for package in ("streamlit", "torch", "safetensors", "tokenizers"):
    pytest.importorskip(package, reason="needs pip install 'vivavoce[ui,qwen]'")

from tests.ui.test_voices import opened, press, saved, shown  # noqa: E402 - after the check for torch

pytestmark = pytest.mark.slow


def test_described_voice_is_heard_chosen_saved_and_tried(
    designing_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = press(opened(designing_url, monkeypatch), "make previews")
    assert "description" in page.main.warning[0].value.lower()
    page.text_area(key="design description 0").input("A calm old man.")
    page.selectbox(key="design language").select("de")
    press(page, "make previews")
    assert len(page.get("audio")) == 3
    assert page.button(key="save design").disabled
    [choice] = [radio for radio in page.radio if radio.label == "Save"]
    choice.set_value("Preview 2")
    page.text_input(key="design name 0").input("merlin")
    page.run()
    press(page, "save design")
    assert page.main.success[0].value == "Saved merlin."
    [voice] = saved(designing_url)
    assert (voice.kind, voice.description) == ("designed", "A calm old man.")
    assert "design · A calm old man" in shown(page)
    assert not page.get("audio")
    press(page, f"try {voice.id}")
    assert len(page.get("audio")) == 1
