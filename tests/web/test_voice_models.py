"""Check that the page designs and clones voices, with random checkpoints of Qwen3-TTS."""

from pathlib import Path

import pytest

for package in ("torch", "safetensors", "tokenizers"):
    pytest.importorskip(
        package,
        reason=f"Qwen3-TTS needs {package}: make test-qwen, or pip install 'vivavoce[qwen]'",
    )

from playwright.sync_api import BrowserContext, Page, expect  # noqa: E402 - after the check for torch

from tests.web.test_voices import (  # noqa: E402
    NOISE,
    SPOKEN_MS,
    WORDS,
    agree,
    name_and_save,
    opened,
    saved,
    unfold,
    voices_at,
)

pytestmark = pytest.mark.slow


def test_described_voice_is_heard_chosen_and_saved(
    context: BrowserContext, designing_url: str
) -> None:
    visit = opened(context, designing_url)
    page = visit.page
    unfold(page, "Describe a voice")
    form = page.get_by_role("form", name="New voice of a description")
    name_and_save(form, "merlin")
    expect(form.get_by_role("alert").filter(has_text="Make previews")).to_be_visible()
    form.get_by_role("button", name="Make previews").click()
    expect(form.get_by_label("Who speaks, and how")).to_be_focused()
    form.get_by_label("Who speaks, and how").fill("A calm old man.")
    form.get_by_label("Previews in").select_option("de")
    form.get_by_role("button", name="Make previews").click()
    expect(form.get_by_role("radio")).to_have_count(3, timeout=SPOKEN_MS)
    expect(form.get_by_text("Guten Abend und willkommen")).to_be_visible()
    form.get_by_role("button", name="Listen to preview 2").click()
    expect(form.get_by_role("status")).to_have_text("Finished.", timeout=SPOKEN_MS)
    [piece] = page.evaluate("scheduled")
    assert len(piece["samples"]) / piece["rate"] > 1
    expect(form.get_by_role("radio", name="Preview 2")).to_be_checked()
    name_and_save(form, "merlin")
    expect(form.get_by_role("status")).to_contain_text("Saved merlin.", timeout=SPOKEN_MS)
    expect(saved(page).filter(has_text="merlin")).to_contain_text("Design · A calm old man")
    expect(page.get_by_role("button", name="Revoke merlin")).to_have_count(0)
    [voice] = [one for one in voices_at(designing_url) if one["name"] == "merlin"]
    assert (voice["kind"], voice["description"]) == ("designed", "A calm old man.")
    assert [one for one in visit.problems if "status of 422" not in one] == []
    page.close()


def test_recording_is_tried_before_and_after_it_is_saved(
    context: BrowserContext, designing_url: str, tmp_path: Path
) -> None:
    (tmp_path / "noise.wav").write_bytes(NOISE)
    page = opened(context, designing_url).page
    unfold(page, "Record or upload a voice")
    form = page.get_by_role("form", name="New voice of a recording")
    form.get_by_label("Or a file").set_input_files(tmp_path / "noise.wav")
    form.get_by_label("Words of the recording").fill(WORDS)
    form.get_by_role("button", name="Try").click()
    expect(page.locator("#clone-status")).to_have_text("Finished.", timeout=SPOKEN_MS)
    expect(form.locator(".note")).to_be_hidden()
    spoken_s = pytest.approx(12 * 0.08, abs=0.05)
    assert scheduled_s(page) == spoken_s
    agree(page)
    name_and_save(form, "anna")
    expect(page.locator("#clone-status")).to_contain_text("Saved anna.")
    expect(page.get_by_label("Speaker").locator("option", has_text="anna")).to_be_attached()
    page.get_by_role("button", name="Try anna").click()
    expect(saved(page).filter(has_text="anna").get_by_role("status")).to_have_text(
        "Finished.", timeout=SPOKEN_MS
    )
    assert scheduled_s(page) == spoken_s
    page.close()


def scheduled_s(page: Page) -> float:
    """Return the seconds of audio that were scheduled since the last call."""
    lengths = page.evaluate("scheduled.splice(0).map((piece) => piece.samples.length)")
    return float(sum(lengths)) / 24_000
