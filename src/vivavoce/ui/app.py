"""Draw the demo page, which Streamlit runs again at every change.

Requests to the server are in `server_state` and `speech`.
"""

import os
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import streamlit as st

from vivavoce.client import DEFAULT_URL, WordTime
from vivavoce.errors import VivavoceError
from vivavoce.ui.books import draw_books
from vivavoce.ui.launch import SERVER_URL
from vivavoce.ui.notes import draw_error, plain, sentence
from vivavoce.ui.server_state import (
    AUTO,
    SPEECH_TIMEOUT_S,
    Connection,
    ServerState,
    read_choices,
    read_state,
)
from vivavoce.ui.speech import (
    MEDIA_TYPES,
    SUBTITLE_TYPES,
    Progress,
    SpeechForm,
    SpeechResult,
    synthesize,
)
from vivavoce.ui.voices import RECORDINGS, draw_voices
from vivavoce.ui.waveform import picture

EXAMPLE = "Hello! This is a voice from your own machine. Type something else here, and press Speak."
INSTRUCTIONS = (
    "Warm and calm, like a bedtime story.",
    "Excited, out of breath.",
    "Whisper, very slowly.",
)
KEPT_RESULTS = 10
VOICES = "Your voices"
# A named icon would come from a public server.
ICON = Path(__file__).parents[1] / "web" / "icon.svg"
_FACTOR_HELP = "Seconds of work for each second of speech. Below 1 is faster than real time."
_WORDS_HELP = (
    "Shows when each word is said. A model that has no times of its own is then heard later."
)
NO_SUBTITLES = "none"
_DRAW_EVERY_S = 0.15
_CHARS_PER_S = 14  # reading speed, to estimate the progress of a speech
_COLOURS = {"ready": "green", "loading": "orange", "missing": "red", "failed": "red"}


def main() -> None:
    """Draw the page once."""
    st.set_page_config(page_title="vivavoce", page_icon=str(ICON), layout="centered")
    connection, state = _draw_sidebar()
    st.title("Text in, speech out")
    if state.problem:
        problem = f"{sentence(state.problem)}\n\nThis page tries again by itself."
        st.error(problem, icon=":material/cloud_off:")
    tabs = st.tabs(("Speech", "Books", VOICES), key="tab", on_change="rerun")
    speech, books, voices = tabs
    with speech:
        _draw_speech(connection, state)
    if books.open:
        with books:
            draw_books(connection, state)
    # Once opened, it is drawn each time: a field that is not drawn forgets its value.
    if voices.open or st.session_state.get("voices opened"):
        st.session_state["voices opened"] = True
        with voices:
            if not state.problem:
                draw_voices(connection)


def _draw_speech(connection: Connection, state: ServerState) -> None:
    """Draw the form of a text, and the results."""
    form = _draw_fields(connection, state)
    empty = deque[SpeechResult](maxlen=KEPT_RESULTS)
    results: deque[SpeechResult] = st.session_state.setdefault("results", empty)
    icon, off = ":material/play_arrow:", bool(state.problem)
    asked = st.button("Speak", type="primary", icon=icon, width="stretch", disabled=off)
    if asked and (result := _speak(connection, form)):
        results.appendleft(result)
        st.session_state["spoken"] = st.session_state.get("spoken", 0) + 1
    if results:
        _draw_newest(results[0], st.session_state["spoken"])
    if len(results) > 1:
        _draw_earlier(list(results)[1:], st.session_state["spoken"] - 1)


def _draw_sidebar() -> tuple[Connection, ServerState]:
    """Draw the server's state, which updates itself, and return it."""
    with st.sidebar:
        st.header("vivavoce", anchor=False)
        place = st.container()
        key = st.text_input(
            "API key", type="password", key="api_key", help="Only if the server asks for one."
        )
        connection = Connection(os.environ.get(SERVER_URL) or DEFAULT_URL, key or None)
        state = read_state(connection)
        at_rest = state.health is not None and state.health.status == "ok"
        with place:
            st.fragment(_draw_state, run_every=15 if at_rest else 3)(connection, state)
    return connection, state


def _draw_state(connection: Connection, shown: ServerState) -> None:
    """Draw the server's current state, and the whole page if it has changed."""
    state = read_state(connection)
    if state != shown:
        st.rerun()
    st.caption(plain(connection.url))
    if state.health is None:
        st.badge("not reachable", color="red", icon=":material/cloud_off:")
        return
    status, version = state.health.status, state.health.version
    st.badge(status, color="green" if status == "ok" else "orange", icon=":material/monitor_heart:")
    lines = (_model_line(entry.id, entry.state, entry.detail) for entry in state.models)
    st.markdown("\n".join(lines))
    st.caption(f"Server version {plain(version)}")


def _model_line(name: str, state: str, detail: str) -> str:
    line = f"- **{plain(name)}** :{_COLOURS.get(state, 'gray')}[{state}]"
    return f"{line}  \n  :small[{plain(detail)}]" if detail else line


def _draw_fields(connection: Connection, state: ServerState) -> SpeechForm:
    """Draw the fields, which the server describes, and return their values."""
    text = st.text_area("Text", EXAMPLE, key="text", height=130)
    fields = st.session_state["fields"] = state.fields or st.session_state.get("fields", {})
    if not fields:  # no server has answered yet
        return SpeechForm(text)
    columns = st.columns(3)
    labels = {one.id: f"{one.id} ({one.state})" for one in state.models if one.state != "ready"}
    model = columns[0].selectbox(
        "Model", state.names, format_func=lambda name: labels.get(name, name), key="model"
    )
    offered = read_choices(connection, state, model)
    names = {AUTO: AUTO, **offered.speakers}
    speaker = columns[1].selectbox(
        "Speaker", names, format_func=names.__getitem__, key=f"speaker of {model}"
    )
    language = columns[2].selectbox(
        "Language", offered.languages, format_func=str.capitalize, key=f"language of {model}"
    )
    if offered.problem:
        st.caption(f":material/hourglass_empty: {plain(offered.problem)}")
    left, right = st.columns([2, 1])
    speeds = (fields["speed"]["minimum"], fields["speed"]["maximum"])
    speed = left.slider("Speed", *speeds, 1.0, 0.05, format="%.2f×", key="speed")
    format = right.selectbox("Format", filter(None, fields["format"]["enum"]), key="format")
    subtitles = right.selectbox(
        "Words and subtitles",
        (*fields["subtitles"]["enum"], NO_SUBTITLES),
        index=fields["subtitles"]["enum"].index("vtt"),
        key="subtitles",
        help=_WORDS_HELP,
    )
    instruct, seed, recording, words = _draw_advanced(fields)
    return SpeechForm(
        text=text,
        model=None if model == AUTO else model,
        speaker=None if speaker == AUTO or recording else speaker,  # the recording is the voice
        language=None if language == AUTO else language,
        instruct=instruct,
        speed=speed,
        seed=seed,
        format=format,
        ref_audio=recording,
        ref_text=words,
        subtitles=None if subtitles == NO_SUBTITLES else subtitles,
    )


def _draw_advanced(
    fields: Mapping[str, Mapping[str, Any]],
) -> tuple[str | None, int | None, bytes | None, str | None]:
    """Draw the advanced options, and return instruction, seed, recording and transcript."""
    with st.expander("Advanced options", icon=":material/tune:"):
        instruct = st.text_input(
            "Instruction",
            key="instruct",
            placeholder="How to say it",
            help=fields["instruct"]["description"],
        )
        st.pills(
            "Examples",
            INSTRUCTIONS,
            key="example",
            on_change=_use_example,
            label_visibility="collapsed",
        )
        seeds = (int(fields["seed"]["minimum"]), int(fields["seed"]["maximum"]))
        seed = st.number_input(
            "Seed",
            *seeds,
            None,
            1,
            key="seed",
            placeholder="a new one each time",
            help=fields["seed"]["description"],
        )
        recording, words = _draw_recording()
    return instruct or None, None if seed is None else int(seed), recording, words


def _draw_recording() -> tuple[bytes | None, str | None]:
    text = "The voice to speak with, for models that clone. Use only voices that you may use."
    file = st.file_uploader("Recording to clone", RECORDINGS, key="ref_audio", help=text)
    if file is None:
        return None, None
    text = "Word for word. Without it only the voice is cloned, not the manner."
    words = st.text_input("Transcript of the recording", key="ref_text", help=text)
    return file.getvalue(), words.strip() or None


def _use_example() -> None:
    if example := st.session_state["example"]:
        st.session_state["instruct"] = example


def _speak(connection: Connection, form: SpeechForm) -> SpeechResult | None:
    """Return the speech for `form`, or `None` after an error. Shows the progress or the error."""
    if not form.text.strip():
        st.warning("There is nothing to say yet: type a text above.", icon=":material/edit:")
        return None
    place = st.empty()
    try:
        with place.container(), st.spinner("Speaking …", show_time=True):
            bar = st.progress(0.0, text="Waiting for the first audio")
            # Any click ends this run of the script, and so the speech.
            st.button("Stop", key="stop", icon=":material/stop:")
            with connection.client(SPEECH_TIMEOUT_S) as client:
                result = synthesize(client, form, _ProgressBar(bar, form).show)
    except VivavoceError as error:
        place.empty()
        draw_error(error)
        return None
    place.empty()
    return result


class _ProgressBar:
    """A progress bar with a limited rate of updates."""

    def __init__(self, bar: "st.delta_generator.DeltaGenerator", form: SpeechForm) -> None:
        self._bar = bar
        self._expected_s = max(1.0, len(form.text) / _CHARS_PER_S / form.speed)
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


def _draw_newest(result: SpeechResult, number: int) -> None:
    with st.container(border=True):
        st.markdown(f"**{plain(result.voice)}** · {_origin(result)}")
        if result.levels:
            words = [(one.word, one.start_s) for one in result.words]
            st.image(picture(result.levels, words, result.audio_s), width="stretch")
        st.audio(result.playable, format=result.playable_type, alt=f"Speech {number}")
        with st.container(horizontal=True):
            if result.first_audio_s is not None:
                st.metric("First audio", f"{result.first_audio_s:.2f} s", width="content")
            if result.audio_s and result.real_time_factor:
                st.metric("Length", f"{result.audio_s:.1f} s", width="content")
                factor = f"{result.real_time_factor:.2f}"
                st.metric("Real-time factor", factor, help=_FACTOR_HELP, width="content")
            else:
                st.metric("Done after", f"{result.elapsed_s:.2f} s", width="content")
        if result.ignored:
            ignored = ", ".join(result.ignored)
            st.info(f"{plain(result.model)} does not have {ignored}: it had no effect.")
        with st.container(horizontal=True):
            _draw_download(result, number)
            _draw_subtitles(result)
        if result.words:
            with st.expander(f"Words, with times by {result.timing}"):
                st.dataframe([_word_row(word) for word in result.words], hide_index=True)


def _draw_subtitles(result: SpeechResult) -> None:
    if result.subtitles is None or result.form.subtitles is None:
        return
    st.download_button(
        f"Download {result.form.subtitles}",
        result.subtitles,
        file_name=result.subtitles_name,
        mime=SUBTITLE_TYPES[result.form.subtitles],
        on_click="ignore",
        key="download subtitles",
        icon=":material/subtitles:",
    )


def _word_row(word: WordTime) -> dict[str, str | float]:
    times = {"from (s)": round(word.start_s, 2), "to (s)": round(word.end_s, 2)}
    return {"word": word.word, "spoken": word.spoken, **times}


def _origin(result: SpeechResult) -> str:
    return f"{plain(result.model)} · {plain(result.language)}"


def _draw_earlier(results: list[SpeechResult], number: int) -> None:
    """Draw `results`. The first one is the `number`th of this session."""
    st.subheader("Earlier in this session", anchor=False)
    for age, result in enumerate(results):
        with st.container(border=True):
            text = result.form.text if len(result.form.text) <= 100 else f"{result.form.text[:99]}…"
            st.markdown(plain(" ".join(text.split())))
            st.caption(f"{plain(result.voice)} · {_origin(result)}")
            st.audio(result.playable, format=result.playable_type, alt=f"Speech {number - age}")
            _draw_download(result, number - age)


def _draw_download(result: SpeechResult, number: int) -> None:
    st.download_button(
        f"Download {result.form.format}",
        result.file,
        file_name=result.file_name,
        mime=MEDIA_TYPES[result.form.format],
        on_click="ignore",  # a click does not change the page
        key=f"download {number}",
        icon=":material/download:",
    )


if __name__ == "__main__":
    main()
