"""Test the demo page with Streamlit's test driver and a real server."""

import io
import socket
import wave
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("streamlit", reason="the demo page needs streamlit: pip install 'vivavoce[ui]'")

from streamlit.testing.v1 import AppTest

import vivavoce.ui
from tests.conftest import FAULTS, serving, tone_pool
from tests.decoding import decode
from vivavoce.api.app import create_app
from vivavoce.audio import comment_in
from vivavoce.models.hibari import HibariModel
from vivavoce.models.tone import CHAR_S, ToneModel
from vivavoce.serving.local import LocalEngine
from vivavoce.serving.pool import Pool
from vivavoce.settings import Settings
from vivavoce.types import AudioFormat
from vivavoce.ui.launch import SERVER_URL
from vivavoce.ui.speech import SpeechResult

SCRIPT = Path(vivavoce.ui.__file__).with_name("app.py")
TEXT = "Hello there."


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Yield a server with beeps, and the embedded voice, which loads lazily."""
    pool = Pool(
        {
            "tone": lambda: LocalEngine(ToneModel(faults=FAULTS)),
            "hibari": lambda: LocalEngine(HibariModel()),
        }
    )
    with serving(create_app(Settings(models=("tone", "hibari"), max_text_chars=500), pool)) as url:
        yield url


@pytest.fixture
def page(server: str, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    """Return the page, with the text to speak typed in, and the model that beeps."""
    page = opened(server, monkeypatch, model="tone")
    page.text_area(key="text").input(TEXT)
    return page


def opened(url: str, monkeypatch: pytest.MonkeyPatch, model: str = "auto") -> AppTest:
    monkeypatch.setenv(SERVER_URL, url)
    page = AppTest.from_file(SCRIPT, default_timeout=60)
    page.session_state["model"] = model
    page.run()
    assert not page.exception
    return page


def speak(page: AppTest) -> AppTest:
    next(button for button in page.button if button.label == "Speak").click()
    page.run()
    assert not page.exception
    return page


def results(page: AppTest) -> list[SpeechResult]:
    return list(page.session_state["results"])


def shown(page: AppTest) -> str:
    return "\n".join(
        element.value for element in (*page.markdown, *page.caption, *page.info, *page.main.warning)
    )


def downloads(page: AppTest) -> list[str]:
    return [button.label for button in page.download_button]


def test_one_click_speaks_the_example(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    page = speak(opened(server, monkeypatch))
    [result] = results(page)
    assert result.form.text == page.text_area(key="text").value
    with wave.open(io.BytesIO(result.file)) as file:
        seconds = file.getnframes() / file.getframerate()
    assert seconds == pytest.approx(len(result.form.text) * CHAR_S, rel=0.1)
    assert len(page.get("audio")) == len(page.get("image")) == 1
    assert downloads(page) == ["Download wav", "Download vtt"]
    assert [metric.label for metric in page.metric] == ["First audio", "Length", "Real-time factor"]
    assert page.metric[1].value == f"{seconds:.1f} s"


def test_sidebar_tells_how_the_server_and_its_models_are(page: AppTest, server: str) -> None:
    words = "\n".join(element.value for element in (*page.sidebar.markdown, *page.sidebar.caption))
    assert "tone" in words
    assert "ready" in words
    assert server.rpartition(":")[2] in words


def test_lists_follow_the_model(page: AppTest) -> None:
    assert "auto" in page.selectbox(key="model").options
    speakers = page.selectbox(key="speaker of tone").options
    assert [label.partition(" ")[0] for label in speakers[:3]] == ["auto", "Sine", "Hum"]
    assert "German" in page.selectbox(key="language of tone").options
    page.selectbox(key="model").select("hibari").run()
    assert page.selectbox(key="speaker of hibari").options == ["auto", "Heart (en)"]
    assert page.selectbox(key="language of hibari").options == ["Auto", "English"]


def test_every_field_reaches_the_server(page: AppTest) -> None:
    page.selectbox(key="speaker of tone").select("hum")
    page.selectbox(key="language of tone").select("german")
    page.slider(key="speed").set_value(2.0)
    page.number_input(key="seed").set_value(7)
    page.text_input(key="instruct").input("Whisper.")
    [result] = results(speak(page))
    assert (result.model, result.voice, result.language) == ("tone", "hum", "de")
    assert result.audio_s == pytest.approx(len(TEXT) * CHAR_S / 2, rel=0.15)
    assert "does not have instruct" in shown(page)
    page.number_input(key="seed").set_value(8)
    later, earlier = results(speak(page))
    assert later.file != earlier.file


@pytest.mark.parametrize("format", ["wav", "pcm", "mp3", "opus", "aac", "flac"])
def test_every_format_can_be_played_and_downloaded(page: AppTest, format: AudioFormat) -> None:
    page.selectbox(key="format").select(format)
    [result] = results(speak(page))
    samples, rate_hz = decode(result.playable)
    assert len(samples) / rate_hz == pytest.approx(len(TEXT) * CHAR_S, abs=0.15)
    assert (result.file == result.playable) == (format != "pcm")
    assert (comment_in(result.playable) is None) == (format == "aac")
    assert result.file_name.endswith("ogg" if format == "opus" else format)
    assert page.download_button[0].label == f"Download {format}"


@pytest.mark.parametrize("format", ["wav", "mp3", "flac"])
def test_words_are_shown_and_subtitles_offered(page: AppTest, format: AudioFormat) -> None:
    page.selectbox(key="format").select(format)
    page.selectbox(key="subtitles").select("srt")
    [result] = results(speak(page))
    assert [word.word for word in result.words] == ["Hello", "there"]
    assert list(page.dataframe[0].value["word"]) == ["Hello", "there"]
    assert result.timing in page.expander[-1].label
    assert TEXT in (result.subtitles or "")
    assert result.subtitles_name.endswith(".srt")
    assert "Download srt" in downloads(page)


def test_words_can_be_left_out(page: AppTest) -> None:
    page.selectbox(key="subtitles").select("none")
    [result] = results(speak(page))
    assert not result.words
    assert not page.dataframe
    assert downloads(page) == ["Download wav"]


def test_limits_and_formats_are_those_of_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    app = create_app(Settings(), tone_pool())
    described = app.openapi()["components"]["schemas"]["SynthesizeBody"]["properties"]
    described["speed"]["anyOf"][0].update(minimum=0.5, maximum=2.5)
    described["seed"]["anyOf"][0]["maximum"] = 7
    described["format"]["anyOf"][0]["enum"] = ["wav", "flac", ""]
    with serving(app) as url:
        page = opened(url, monkeypatch)
    speed = page.slider(key="speed")
    assert (speed.min, speed.max) == (0.5, 2.5)
    assert page.number_input(key="seed").max == 7
    assert page.selectbox(key="format").options == ["wav", "flac"]


def test_history_keeps_what_was_said_newest_first(page: AppTest) -> None:
    for text in ("One.", "Two *stars*.", "Three."):
        page.text_area(key="text").input(text)
        speak(page)
    assert [result.form.text for result in results(page)] == ["Three.", "Two *stars*.", "One."]
    assert len(page.get("audio")) == downloads(page).count("Download wav") == 3
    assert r"Two \*stars\*." in shown(page)


def test_history_is_bounded(page: AppTest) -> None:
    [result] = results(speak(page))
    page.session_state["results"].extend([result] * 20)
    page.session_state["spoken"] = 21
    page.run()
    assert not page.exception
    assert len(page.get("audio")) == len(results(page)) == 10


def test_example_instruction_fills_the_field(page: AppTest) -> None:
    example = page.button_group(key="example").options[0]
    page.button_group(key="example").set_value(example).run()
    assert page.text_input(key="instruct").value == example


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("  ", "nothing to say yet"),
        ("\N{SLIGHTLY SMILING FACE}", "at least one word"),
        ("A" * 501, "500"),
    ],
)
def test_text_that_cannot_be_said_is_refused_in_words(page: AppTest, text: str, said: str) -> None:
    page.text_area(key="text").input(text)
    speak(page)
    assert said in page.main.warning[0].value
    assert not results(page)


@pytest.mark.parametrize("voice", ["crash", "crash-at-once"])
def test_model_that_fails_is_told_and_the_page_goes_on(page: AppTest, voice: str) -> None:
    page.selectbox(key="speaker of tone").select(voice)
    speak(page)
    assert len(page.main.error) == 1
    assert not results(page)
    page.selectbox(key="speaker of tone").select("sine")
    assert len(results(speak(page))) == 1


def test_server_that_is_not_there_is_said_to_be_so(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    page = opened(f"http://127.0.0.1:{port}", monkeypatch)
    assert "`vivavoce serve`" in page.main.error[0].value
    assert all(button.disabled for button in page.main.button)
    assert not page.slider  # nobody tells the limits


def test_server_that_comes_back_is_found_without_losing_the_text(
    page: AppTest, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    monkeypatch.setenv(SERVER_URL, f"http://127.0.0.1:{port}")
    assert len(page.run().main.error) == 1
    monkeypatch.setenv(SERVER_URL, server)
    assert not page.run().main.error
    assert page.text_area(key="text").value == TEXT
    assert len(results(speak(page))) == 1


def test_server_that_does_not_answer_is_not_waited_for(
    page: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vivavoce.ui.server_state.LIST_TIMEOUT_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        page = opened(f"http://127.0.0.1:{silent.getsockname()[1]}", monkeypatch)
    assert "did not answer in time" in page.main.error[0].value
