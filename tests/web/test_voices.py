"""Check in a real browser that the page keeps voices: recorded, uploaded, mixed and imported."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, Playwright, expect

from tests.conftest import serving, tone_pool
from tests.web.conftest import FLAGS, RECORDER, Visit, browser_path
from vivavoce.api.app import create_app
from vivavoce.audio import wav_bytes
from vivavoce.audio.decode import decode_recording
from vivavoce.keys import FILE_NAME, KeyFile
from vivavoce.settings import Settings
from vivavoce.text.language import names

pytestmark = pytest.mark.slow

VOICES = "/v1/tts/voices"
SPOKEN_MS = 60_000
WORDS = "The lamp is on the table, and the door is open."
NOISE = wav_bytes(np.random.default_rng(1).normal(0, 0.1, 96_000).astype(np.float32), 24_000)
PARTS = (
    "Record or upload a voice",
    "Mix voices of Kokoro",
    "Describe a voice",
    "Import a voice",
)
# What the level meter shows for two seconds.
LEVELS = """async () => {
  const levels = [];
  for (const start = performance.now(); performance.now() < start + 2000; ) {
    levels.push(document.getElementById("level").value);
    await new Promise(requestAnimationFrame);
  }
  return levels;
}"""
MISSING = "vivavoce models pull Qwen/Qwen3-TTS-12Hz-0.6B-Base"


@pytest.fixture(scope="module")
def spoken(hibari_url: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file with speech, which the microphone hears again and again."""
    body = {"text": WORDS, "format": "wav", "sample_rate": 48_000}
    answer = httpx.post(f"{hibari_url}/v1/tts/synthesize", json=body, timeout=60)
    path = tmp_path_factory.mktemp("microphone") / "speech.wav"
    path.write_bytes(answer.raise_for_status().content)
    return path


@pytest.fixture(scope="module")
def listening(playwright: Playwright, spoken: Path) -> Iterator[Browser]:
    """Yield a browser with a microphone that hears the file."""
    heard = [
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-audio-capture={spoken}",
    ]
    path, flags = browser_path(), [*FLAGS.split(), *heard]
    browser = playwright.chromium.launch(executable_path=path, args=flags)
    yield browser
    browser.close()


@pytest.fixture
def context(listening: Browser) -> Iterator[BrowserContext]:
    context = listening.new_context(locale="en-GB")
    context.set_default_timeout(20_000)
    context.add_init_script(RECORDER)
    yield context
    context.close()


@pytest.fixture(scope="module")
def mixing_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield a server with Kokoro."""
    data = tmp_path_factory.mktemp("voices")
    settings = Settings(data_dir=data, models=("kokoro",), isolate_models=False)
    with serving(create_app(settings)) as url:
        httpx.post(f"{url}/v1/tts/synthesize", json={"text": "So."}, timeout=60).raise_for_status()
        yield url


@contextmanager
def toned(folder: Path, **settings: bool) -> Iterator[str]:
    """Yield a server with beeps alone, which no saved voice speaks with."""
    app = create_app(Settings(data_dir=folder, **settings), tone_pool())  # type: ignore[arg-type]  # of bool
    with serving(app) as url:
        yield url


def opened(context: BrowserContext, url: str) -> Visit:
    """Return the page with its part "Your voices" open."""
    visit = Visit(context.new_page())
    visit.page.on("request", visit.on_request)
    visit.page.on("console", visit.on_console)
    visit.page.on("pageerror", visit.on_error)
    visit.page.goto(url)
    visit.page.get_by_text("Your voices", exact=True).click()
    return visit


def saved(page: Page) -> Locator:
    return page.get_by_role("list", name="Your voices").get_by_role("listitem")


def unfold(page: Page, name: str) -> None:
    page.get_by_text(name, exact=True).click()


def agree(page: Page) -> None:
    page.get_by_label("Who speaks, and agrees").fill("Anna Lind")
    page.get_by_label("What they said to agree").fill("You may use my voice.")


def name_and_save(form: Locator, name: str) -> None:
    form.get_by_label("Name", exact=True).fill(name)
    form.get_by_role("button", name="Save").click()


def voices_at(url: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = httpx.get(url + VOICES).json()["voices"]
    return found


def test_recorded_voice_is_saved_listed_changed_and_deleted(
    context: BrowserContext, tmp_path: Path
) -> None:
    with toned(tmp_path) as url:
        visit = opened(context, url)
        page = visit.page
        expect(page.get_by_text("You have no voices yet.")).to_be_visible()
        unfold(page, "Record or upload a voice")
        form = page.get_by_role("form", name="New voice of a recording")
        expect(form.locator(".note")).to_contain_text(MISSING)
        expect(form.get_by_role("button", name="Try")).to_be_hidden()
        form.get_by_label("Spoken in").select_option("de")
        expect(form.locator("blockquote")).to_contain_text("Leuchtturmwärter")
        expect(form.get_by_role("button", name="Listen")).to_be_disabled()

        form.get_by_role("button", name="Record").click()
        levels = page.evaluate(LEVELS)
        assert max(levels) > 0.6
        assert max(levels) - min(levels) > 0.1
        expect(page.locator("#recorded")).to_have_text(re.compile(r"^[4-9]\.\d s$"))
        form.get_by_role("button", name="Stop recording").click()
        expect(page.locator("#clone-status")).to_contain_text("Recorded.")
        expect(page.locator("#level")).to_have_js_property("value", 0)
        expect(form.get_by_role("button", name="Record again")).to_have_accessible_description(
            re.compile(r"\d\.\d s of sound\. ")
        )
        expect(form.get_by_label("Words of the recording")).to_have_value(
            re.compile("^Jeden Abend")
        )
        page.evaluate("scheduled.length = 0")
        form.get_by_role("button", name="Listen").click()
        expect(page.locator("#clone-status")).to_have_text("Finished.", timeout=SPOKEN_MS)
        [piece] = page.evaluate("scheduled")
        assert len(piece["samples"]) / piece["rate"] > 3
        assert max(piece["samples"]) > 3_000

        form.get_by_label("Words of the recording").fill(WORDS)
        agree(page)
        form.get_by_label("Last day").fill("2999-01-31")
        name_and_save(form, "anna")
        expect(page.locator("#clone-status")).to_contain_text("Saved anna.")
        expect(saved(page)).to_contain_text(["anna"])
        expect(saved(page)).to_contain_text(
            ["Recording, German · Anna Lind agrees until 2999-01-31"]
        )
        [voice] = voices_at(url)
        assert (voice["kind"], voice["words"], voice["languages"]) == ("cloned", WORDS, ["de"])
        consent = voice["consent"]
        assert isinstance(consent, dict)
        assert (consent["by"], consent["words"]) == ("Anna Lind", "You may use my voice.")
        assert consent["expires"] == "2999-01-31"
        samples, rate_hz = decode_recording(
            (tmp_path / "voices" / str(voice["id"]) / "recording.flac").read_bytes()
        )
        assert samples.size / rate_hz > 2.5
        assert np.abs(samples).max() > 0.1
        expect(form.get_by_role("button", name="Listen")).to_be_disabled()

        page.get_by_role("button", name="Try anna").click()
        expect(saved(page).get_by_role("alert")).to_contain_text(MISSING)
        page.get_by_role("button", name="Edit anna").click()
        changes = page.get_by_role("form", name="Changes of anna")
        expect(changes.get_by_label("Name")).to_be_focused()
        changes.get_by_label("Name").fill("an na")
        changes.get_by_label("Name").press("Enter")
        expect(changes.get_by_label("Name")).to_have_accessible_description(
            re.compile("cannot be a voice's")
        )
        expect(changes.get_by_label("Name")).to_be_focused()
        changes.get_by_label("Name").press("Escape")
        expect(page.get_by_role("button", name="Edit anna")).to_be_focused()
        page.keyboard.press("Enter")
        changes.get_by_label("Name").fill("anna-2")
        changes.get_by_label("Description").fill("Reads letters.")
        changes.get_by_label("Labels").fill("mood: calm: very\n\nquiet")
        changes.get_by_label("Words of the recording").fill("")
        changes.get_by_label("Name").press("Enter")
        words = changes.get_by_label("Words of the recording")
        expect(words).to_have_accessible_description(re.compile("Words is empty"))
        expect(words).to_be_focused()
        words.fill("The lamp is on the table.")
        changes.get_by_role("button", name="Save changes").click()
        expect(page.get_by_role("button", name="Edit anna-2")).to_be_focused()
        expect(page.locator("#voices-status")).to_have_text("Changed anna-2.")
        expect(saved(page)).to_contain_text("Reads letters · mood: calm: very · quiet")
        [changed] = voices_at(url)
        assert (changed["name"], changed["words"]) == ("anna-2", "The lamp is on the table.")
        assert changed["formerly"] == [voice["id"]]

        page.get_by_role("button", name="Consent anna-2").click()
        record = page.get_by_role("form", name="Consent of anna-2")
        expect(record.get_by_label("Who speaks, and agrees")).to_have_value("Anna Lind")
        record.get_by_label("What they said to agree").fill("")
        record.get_by_role("button", name="Save consent").click()
        expect(record.get_by_label("What they said to agree")).to_have_accessible_description(
            re.compile("Write down")
        )
        record.get_by_label("What they said to agree").fill("Letters and books.")
        record.get_by_label("Last day").fill("2001-01-31")
        record.get_by_role("button", name="Save consent").click()
        expect(record.get_by_label("Last day")).to_have_accessible_description(
            re.compile("is over")
        )
        record.get_by_label("Last day").fill("2999-02-28")
        record.get_by_role("button", name="Save consent").click()
        expect(page.get_by_role("button", name="Consent anna-2")).to_be_focused()
        expect(saved(page)).to_contain_text("Anna Lind agrees until 2999-02-28")
        [renewed] = voices_at(url)
        assert renewed["consent"]["words"] == "Letters and books."  # type: ignore[index]  # JSON
        assert len(renewed["former_consents"]) == 1  # type: ignore[arg-type]  # JSON

        page.on("dialog", lambda dialog: dialog.accept())
        page.get_by_role("button", name="Revoke anna-2").click()
        expect(saved(page)).to_contain_text("consent was revoked")
        expect(page.get_by_role("button", name="Try anna-2")).to_have_count(0)
        expect(page.get_by_role("button", name="Edit anna-2")).to_be_focused()
        page.get_by_role("button", name="Delete anna-2").click()
        expect(page.get_by_text("Deleted anna-2.")).to_be_visible()
        expect(saved(page)).to_have_count(0)
        assert voices_at(url) == []
        assert [one for one in visit.problems if "status of 422" not in one] == []
        assert [one for one in visit.urls if not one.startswith((url, f"blob:{url}"))] == []
        page.close()


def test_mix_is_tried_saved_chosen_exported_and_imported(
    context: BrowserContext, mixing_url: str, tmp_path: Path
) -> None:
    visit = opened(context, mixing_url)
    page = visit.page
    unfold(page, "Mix voices of Kokoro")
    form = page.get_by_role("form", name="New mix of voices")
    expect(form.locator(".note")).to_be_hidden()
    form.get_by_label("Formula").fill("af_bella(1)+af_heart(1)")
    form.get_by_role("button", name="Try").click()
    expect(form.get_by_role("status")).to_have_text("Spoken by kokoro…", timeout=SPOKEN_MS)
    assert page.evaluate("heard(0.02)")
    expect(form.get_by_role("status")).to_have_text("Finished.", timeout=SPOKEN_MS)
    body = {
        "text": "Hello! This is what I sound like.",
        "language": "en",
        "speaker": "af_bella(1)+af_heart(1)",
        "format": "pcm",
        "stream": True,
    }
    told = httpx.post(f"{mixing_url}/v1/tts/synthesize", json=body, timeout=60).content
    pieces = page.evaluate("scheduled.map((piece) => piece.samples)")
    heard = np.concatenate([np.array(piece, "<i2") for piece in pieces])
    assert heard.tobytes() == told
    form.get_by_label("Formula").fill("af_bella(1)+af_nobody(1)")
    form.get_by_role("button", name="Try").click()
    expect(form.get_by_label("Formula")).to_have_accessible_description(re.compile("af_nobody"))
    expect(form.get_by_label("Formula")).to_be_focused()
    form.get_by_label("Formula").fill("af_bella(1)+af_heart(1)")
    name_and_save(form, "calm")
    expect(form.get_by_role("status")).to_have_text("Saved calm.")
    expect(saved(page)).to_contain_text(["Mix, English · af_bella(0.5)+af_heart(0.5)"])
    expect(page.get_by_label("Speaker").locator("option", has_text="calm")).to_be_attached()

    page.get_by_role("button", name="Try calm").click()
    status = saved(page).get_by_role("status")
    expect(status).to_have_text("Spoken by kokoro…", timeout=SPOKEN_MS)
    page.get_by_role("button", name="Stop calm").click()
    expect(status).to_have_text("Stopped.")
    assert page.evaluate("silentSoon()")
    expect(page.get_by_role("button", name="Try calm")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="Export calm").click()
    assert download.value.suggested_filename == "calm.vvoice"
    file = tmp_path / "calm.vvoice"
    download.value.save_as(file)
    [voice] = voices_at(mixing_url)
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Delete calm").click()
    expect(saved(page)).to_have_count(0)

    unfold(page, "Import a voice")
    importing = page.get_by_role("form", name="Voice from a file")
    importing.get_by_role("button", name="Import").click()
    expect(importing.get_by_role("alert").filter(has_text="Choose a file.")).to_be_visible()
    (tmp_path / "bad.vvoice").write_bytes(b"PK\3\4 no zip")
    importing.get_by_label("File of an export").set_input_files(tmp_path / "bad.vvoice")
    importing.get_by_role("button", name="Import").click()
    expect(importing.get_by_role("alert").filter(has_text="not a whole zip")).to_be_visible()
    importing.get_by_label("File of an export").set_input_files(file)
    importing.get_by_label("Another name").fill("calmer")
    importing.get_by_role("button", name="Import").click()
    expect(importing.get_by_role("status")).to_have_text("Saved calmer.")
    [back] = voices_at(mixing_url)
    assert (back["id"], back["name"]) == (voice["id"], "calmer")
    assert [one for one in visit.problems if not re.search("status of 4(04|22)", one)] == []
    page.close()


def test_upload_that_is_no_recording_is_refused_beside_the_file(
    context: BrowserContext, tmp_path: Path
) -> None:
    (tmp_path / "bad.wav").write_bytes(b"no audio" * 99)
    (tmp_path / "noise.wav").write_bytes(NOISE)
    with toned(tmp_path / "data") as url:
        page = opened(context, url).page
        unfold(page, "Record or upload a voice")
        form = page.get_by_role("form", name="New voice of a recording")
        file = form.get_by_label("Or a file")
        name_and_save(form, "anna")
        expect(file).to_have_accessible_description(re.compile("Record a voice, or choose a file"))
        file.set_input_files(tmp_path / "bad.wav")
        expect(file).to_have_accessible_description(
            re.compile("^The recording cannot be read as wav")
        )
        expect(file).to_be_focused()
        form.get_by_role("button", name="Listen").click()
        expect(file).to_have_accessible_description(re.compile("cannot play it"))
        assert voices_at(url) == []

        file.set_input_files(tmp_path / "noise.wav")
        expect(page.locator("#recording-facts")).to_contain_text("4.0 s of sound. It is very noisy")
        form.get_by_label("Who speaks, and agrees").fill("")
        form.get_by_role("button", name="Save").click()
        by = form.get_by_label("Who speaks, and agrees")
        expect(by).to_have_accessible_description(re.compile("Say who speaks, and agrees"))
        expect(by).to_be_focused()
        agree(page)
        name_and_save(form, "no name")
        expect(form.get_by_label("Name", exact=True)).to_be_focused()
        name_and_save(form, "anna")
        expect(page.locator("#clone-status")).to_contain_text(
            "Saved anna. The recording is very noisy"
        )
        page.close()


def test_consent_is_not_asked_for_where_the_server_does_not(
    context: BrowserContext, tmp_path: Path
) -> None:
    (tmp_path / "noise.wav").write_bytes(NOISE)
    with toned(tmp_path / "data", require_consent=False) as url:
        page = opened(context, url).page
        unfold(page, "Record or upload a voice")
        form = page.get_by_role("form", name="New voice of a recording")
        expect(form.get_by_role("group", name="Consent (optional)")).to_be_visible()
        form.get_by_label("Or a file").set_input_files(tmp_path / "noise.wav")
        name_and_save(form, "anna")
        expect(saved(page)).to_contain_text(["No record of consent"])
        page.close()


def test_voice_is_made_by_keyboard_alone(context: BrowserContext, tmp_path: Path) -> None:
    with toned(tmp_path) as url:
        page = context.new_page()
        page.goto(url)
        page.locator("#voices > summary").focus()
        page.keyboard.press("Enter")
        expect(page.get_by_text("You have no voices yet.")).to_be_visible()
        for name in PARTS[:2]:
            page.keyboard.press("Tab")
            expect(page.locator("summary", has_text=name)).to_be_focused()
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        expect(page.get_by_label("Formula")).to_be_focused()
        page.keyboard.press("Tab")
        page.keyboard.type("evening")
        page.keyboard.press("Enter")
        expect(page.get_by_text("Saved evening.")).to_be_visible()
        page.locator("#voices > summary").focus()
        page.keyboard.press("Tab")
        expect(page.get_by_role("button", name="Try evening")).to_be_focused()
        page.close()


def test_server_that_designs_no_voices_says_what_is_missing(
    context: BrowserContext, tmp_path: Path
) -> None:
    with toned(tmp_path) as url:
        page = opened(context, url).page
        unfold(page, "Describe a voice")
        expect(
            page.get_by_text("vivavoce models pull Qwen/Qwen3-TTS-12Hz-1.7B-VoiceDesign")
        ).to_be_visible()
        expect(page.get_by_role("form", name="New voice of a description")).to_be_hidden()
        page.close()


def test_voices_of_a_key_are_shown_with_it_alone(context: BrowserContext, tmp_path: Path) -> None:
    file = KeyFile(tmp_path / FILE_NAME)
    one, two = file.create("one"), file.create("two")
    mix = {"name": "mine", "formula": "af_bella(2)+af_sky(1)"}
    with toned(tmp_path) as url:
        httpx.post(url + VOICES, json=mix, headers={"Authorization": f"Bearer {one}"})
        page = opened(context, url).page
        expect(page.get_by_text("An API key is needed here")).to_be_visible()
        expect(page.get_by_label("API key")).to_be_focused()
        page.get_by_label("API key").fill(two)
        page.get_by_label("API key").press("Tab")
        expect(page.get_by_text("You have no voices yet.")).to_be_visible()
        page.get_by_label("API key").fill(one)
        page.get_by_label("API key").press("Tab")
        expect(saved(page)).to_contain_text(["mine"])
        page.close()


def test_page_without_https_says_why_it_has_no_microphone(
    context: BrowserContext, tmp_path: Path
) -> None:
    app = create_app(Settings(data_dir=tmp_path, allowed_hosts=("voices.test",)), tone_pool())
    with serving(app) as url:
        port = url.rpartition(":")[2]
        page = context.new_page()
        page.route(
            "http://voices.test/**",
            lambda route: route.fulfill(
                response=route.fetch(
                    url=route.request.url.replace("voices.test", f"127.0.0.1:{port}")
                )
            ),
        )
        page.goto("http://voices.test/")
        page.get_by_text("Your voices", exact=True).click()
        unfold(page, "Record or upload a voice")
        assert page.evaluate("isSecureContext") is False
        expect(page.get_by_role("button", name="Record")).to_be_disabled()
        expect(page.get_by_text("only over https or on this machine")).to_be_visible()
        page.close()


def test_microphone_that_is_kept_from_the_page_is_told(chromium: Browser, tmp_path: Path) -> None:
    with toned(tmp_path) as url:
        context = chromium.new_context()
        page = opened(context, url).page
        unfold(page, "Record or upload a voice")
        page.get_by_role("button", name="Record").click()
        refusal = page.get_by_role("alert").filter(has_text="microphone")
        expect(refusal).to_contain_text("upload a file")
        expect(page.get_by_role("button", name="Record")).to_be_enabled()
        context.close()


@pytest.mark.parametrize("width", [360, 1280])
def test_no_part_of_the_voices_is_wider_than_the_screen(
    context: BrowserContext, tmp_path: Path, width: int
) -> None:
    with toned(tmp_path) as url:
        long = {"name": "w" * 64, "formula": "af_bella(2)+af_sky(1)+am_adam(3)+bf_emma(1)"}
        httpx.post(url + VOICES, json=long).raise_for_status()
        page = opened(context, url).page
        page.set_viewport_size({"width": width, "height": 800})
        expect(saved(page)).to_have_count(1)
        for name in PARTS:
            unfold(page, name)
            assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.get_by_role("button", name="Edit").click()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.close()


def test_sentences_are_in_languages_that_the_server_knows(
    context: BrowserContext, tmp_path: Path
) -> None:
    with toned(tmp_path) as url:
        sentences = httpx.get(f"{url}/web/voices/sentences.json").json()
    assert {"en", "de", "zh"} <= sentences.keys()
    for code, sentence in sentences.items():
        assert names.parse_language(code) == code
        assert set(sentence) == {"name", "read", "try"}
