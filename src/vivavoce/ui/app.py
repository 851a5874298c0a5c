"""The demo page, drawn anew by Streamlit at every change; asks the server through `standing` and `take`."""

import os
import re
import time
from collections import deque
from pathlib import Path
from typing import get_args

import streamlit as st

from vivavoce.client import DEFAULT_URL
from vivavoce.errors import BadRequest, Overloaded, VivavoceError
from vivavoce.types import AudioFormat
from vivavoce.ui.launch import SERVER_URL
from vivavoce.ui.server_state import (
    AUTO,
    SPEECH_TIMEOUT_S,
    Choices,
    Connection,
    ServerState,
    choices,
    look,
)
from vivavoce.ui.speech import MEDIA_TYPES, Progress, SpeechForm, SpeechResult, record
from vivavoce.ui.waveform import picture

EXAMPLE = "Hello! This is a voice from your own machine. Type something else here, and press Speak."
INSTRUCTIONS = (
    "Warm and calm, like a bedtime story.",
    "Excited, out of breath.",
    "Whisper, very slowly.",
)
RECORDINGS = ("wav", "mp3", "flac", "ogg", "m4a", "webm")
KEPT_TAKES = 10
ICON = Path(__file__).parents[1] / "web" / "icon.svg"  # an icon by name comes from a public server
_DRAW_EVERY_S = 0.15
_CHARS_PER_S = 14  # how fast people read aloud, to guess how far a speech has come
_COLOURS = {"ready": "green", "loading": "orange", "missing": "red", "failed": "red"}


def main() -> None:
    """Draw the page once."""
    st.set_page_config(page_title="vivavoce", page_icon=str(ICON), layout="centered")
    connection, standing = _draw_sidebar()
    st.title("Text in, speech out")
    if standing.problem:
        st.error(
            f"{_sentence(standing.problem)}\n\nThis page tries again by itself.",
            icon=":material/cloud_off:",
        )
    wish = _draw_fields(connection, standing)
    takes: deque[SpeechResult] = st.session_state.setdefault("takes", deque(maxlen=KEPT_TAKES))
    asked = st.button(
        "Speak",
        type="primary",
        icon=":material/play_arrow:",
        width="stretch",
        disabled=bool(standing.problem),
    )
    if asked and (take := _speak(connection, wish)):
        takes.appendleft(take)
        st.session_state["spoken"] = st.session_state.get("spoken", 0) + 1
    if takes:
        _draw_newest(takes[0], st.session_state["spoken"])
    if len(takes) > 1:
        _draw_earlier(list(takes)[1:], st.session_state["spoken"] - 1)


def _draw_sidebar() -> tuple[Connection, ServerState]:
    """Draw the server's state, which keeps itself current, and returns it."""
    with st.sidebar:
        st.header("vivavoce", anchor=False)
        state = st.container()
        key = st.text_input(
            "API key", type="password", key="api_key", help="Only if the server asks for one."
        )
        connection = Connection(os.environ.get(SERVER_URL) or DEFAULT_URL, key or None)
        standing = look(connection)
        at_rest = standing.health is not None and standing.health.status == "ok"
        with state:
            st.fragment(_draw_standing, run_every=15 if at_rest else 3)(connection, standing)
    return connection, standing


def _draw_standing(connection: Connection, shown: ServerState) -> None:
    """Draw the server's state as it is now, and the whole page anew if that has changed."""
    standing = look(connection)
    if standing != shown:
        st.rerun()
    st.caption(_plain(connection.url))
    if standing.health is None:
        st.badge("not reachable", color="red", icon=":material/cloud_off:")
        return
    status, version = standing.health.status, standing.health.version
    st.badge(status, color="green" if status == "ok" else "orange", icon=":material/monitor_heart:")
    st.markdown(
        "\n".join(_model_line(entry.id, entry.state, entry.detail) for entry in standing.models)
    )
    st.caption(f"Server version {_plain(version)}")


def _model_line(name: str, state: str, detail: str) -> str:
    line = f"- **{_plain(name)}** :{_COLOURS.get(state, 'gray')}[{state}]"
    return f"{line}  \n  :small[{_plain(detail)}]" if detail else line


def _draw_fields(connection: Connection, standing: ServerState) -> SpeechForm:
    """Draw what there is to fill in, and returns what it says."""
    text = st.text_area("Text", EXAMPLE, key="text", height=130)
    columns = st.columns(3)
    states = {entry.id: entry.state for entry in standing.models}
    model = columns[0].selectbox(
        "Model",
        standing.names,
        format_func=lambda name: (
            name if states.get(name, "ready") == "ready" else f"{name} ({states[name]})"
        ),
        key="model",
    )
    offered = choices(connection, standing, model)
    speaker = columns[1].selectbox(
        "Speaker",
        (AUTO, *offered.speakers),
        format_func=lambda name: offered.speakers.get(name, name),
        key=f"speaker of {model}",
    )
    language = columns[2].selectbox(
        "Language", offered.languages, format_func=str.capitalize, key=f"language of {model}"
    )
    _draw_problem(offered)
    left, right = st.columns([2, 1])
    speed = left.slider("Speed", 0.25, 4.0, 1.0, 0.05, format="%.2f×", key="speed")
    format = right.selectbox("Format", get_args(AudioFormat), key="format")
    instruct, seed, recording, words = _draw_advanced()
    return SpeechForm(
        text=text,
        model=None if model == AUTO else model,
        speaker=None if speaker == AUTO or recording else speaker,  # a recording is a voice already
        language=None if language == AUTO else language,
        instruct=instruct,
        speed=speed,
        seed=seed,
        format=format,
        ref_audio=recording,
        ref_text=words,
    )


def _draw_problem(offered: Choices) -> None:
    if offered.problem:
        st.caption(f":material/hourglass_empty: {_plain(offered.problem)}")


def _draw_advanced() -> tuple[str | None, int | None, bytes | None, str | None]:
    """Draw what most do not need; returns the instruction, the seed, a recording to clone and the words in it."""
    with st.expander("Advanced options", icon=":material/tune:"):
        instruct = st.text_input(
            "Instruction",
            key="instruct",
            placeholder="How to say it",
            help="For models that follow instructions. The others say that it had no effect.",
        )
        st.pills(
            "Examples",
            INSTRUCTIONS,
            key="example",
            on_change=_take_example,
            label_visibility="collapsed",
        )
        seed = st.number_input(
            "Seed",
            0,
            2**32 - 1,
            None,
            1,
            key="seed",
            placeholder="a new one each time",
            help="The same seed gives the same speech, where the model can.",
        )
        recording, words = _draw_recording()
    return instruct or None, None if seed is None else int(seed), recording, words


def _draw_recording() -> tuple[bytes | None, str | None]:
    file = st.file_uploader(
        "Recording to clone",
        RECORDINGS,
        key="ref_audio",
        help="Speak with the voice in it, for models that clone. Only voices that you may use.",
    )
    if file is None:
        return None, None
    words = st.text_input(
        "What is said in it",
        key="ref_text",
        help="Word for word. Without it only who speaks is taken, not how.",
    )
    return file.getvalue(), words.strip() or None


def _take_example() -> None:
    if example := st.session_state["example"]:
        st.session_state["instruct"] = example


def _speak(connection: Connection, wish: SpeechForm) -> SpeechResult | None:
    """Have `wish` spoken, with progress shown meanwhile; `None` if that failed, and why is shown."""
    if not wish.text.strip():
        st.warning("There is nothing to say yet: type a text above.", icon=":material/edit:")
        return None
    place = st.empty()
    try:
        with place.container(), st.spinner("Speaking …", show_time=True):
            bar = st.progress(0.0, text="Waiting for the first audio")
            st.button(
                "Stop", key="stop", icon=":material/stop:"
            )  # any click ends this run of the script, and so the speech
            with connection.client(SPEECH_TIMEOUT_S) as client:
                take = record(client, wish, _Meter(bar, wish).show)
    except VivavoceError as error:
        place.empty()
        _draw_error(error)
        return None
    place.empty()
    return take


class _Meter:
    """Draws progress into a bar, not more often than people see."""

    def __init__(self, bar: "st.delta_generator.DeltaGenerator", wish: SpeechForm) -> None:
        self._bar = bar
        self._expected_s = max(1.0, len(wish.text) / _CHARS_PER_S / wish.speed)
        self._drawn_s = float("-inf")

    def show(self, progress: Progress) -> None:
        if time.monotonic() - self._drawn_s < _DRAW_EVERY_S:
            return
        self._drawn_s = time.monotonic()
        if progress.audio_s is None:
            self._bar.progress(0.5, text=f"{progress.received_bytes / 1024:.0f} KiB received")
        else:
            done = min(progress.audio_s / self._expected_s, 0.97)
            self._bar.progress(done, text=f"{progress.audio_s:.1f} s of speech received")


def _draw_error(error: VivavoceError) -> None:
    message = _sentence(error.message)
    if isinstance(error, Overloaded):
        st.warning(
            f"{message} (try again in {error.retry_after_s:g} s)", icon=":material/hourglass_top:"
        )
    elif isinstance(error, BadRequest):
        st.warning(message, icon=":material/edit:")
    else:
        st.error(message, icon=":material/error:")


def _draw_newest(take: SpeechResult, number: int) -> None:
    with st.container(border=True):
        st.markdown(f"**{_plain(take.voice)}** · {_plain(take.model)} · {_plain(take.language)}")
        if take.levels:
            st.image(picture(take.levels), width="stretch")
        st.audio(take.playable, format=take.playable_type, alt=f"Speech {number}")
        with st.container(horizontal=True):
            if take.first_audio_s is not None:
                st.metric("First audio", f"{take.first_audio_s:.2f} s", width="content")
            if take.audio_s and take.real_time_factor:
                st.metric("Length", f"{take.audio_s:.1f} s", width="content")
                st.metric(
                    "Real-time factor",
                    f"{take.real_time_factor:.2f}",
                    help="Seconds of work for each second of speech: below 1 is faster than it is heard.",
                    width="content",
                )
            else:
                st.metric("Done after", f"{take.elapsed_s:.2f} s", width="content")
        if take.ignored:
            st.info(
                f"{_plain(take.model)} does not have {', '.join(take.ignored)}: it had no effect."
            )
        _draw_download(take, number)


def _draw_earlier(takes: list[SpeechResult], number: int) -> None:
    """Draw `takes`, the first of which is the `number`th of this session."""
    st.subheader("Earlier in this session", anchor=False)
    for age, take in enumerate(takes):
        with st.container(border=True):
            text = take.wish.text if len(take.wish.text) <= 100 else f"{take.wish.text[:99]}…"
            st.markdown(_plain(" ".join(text.split())))
            st.caption(f"{_plain(take.voice)} · {_plain(take.model)} · {_plain(take.language)}")
            st.audio(take.playable, format=take.playable_type, alt=f"Speech {number - age}")
            _draw_download(take, number - age)


def _draw_download(take: SpeechResult, number: int) -> None:
    st.download_button(
        f"Download {take.wish.format}",
        take.file,
        file_name=take.file_name,
        mime=MEDIA_TYPES[take.wish.format],
        on_click="ignore",  # a click changes nothing that is drawn
        key=f"download {number}",
        icon=":material/download:",
    )


def _sentence(message: str) -> str:
    return _plain(message[:1].upper() + message[1:])


def _plain(text: str) -> str:
    """Return `text` so that it is shown as it is, though Streamlit reads Markdown; code in backticks stays code."""
    return re.sub(r"([\\*_\[\]$<>#:~|{}])", r"\\\1", text)


if __name__ == "__main__":
    main()
