"""Ask the server what a visitor wants of a voice, and tell how it went."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

import streamlit as st

from vivavoce.client import Client, SavedVoice, SpeechOptions
from vivavoce.errors import VivavoceError
from vivavoce.ui.notes import draw_error, plain
from vivavoce.ui.server_state import SPEECH_TIMEOUT_S, Connection

SENTENCES = Path(__file__).parents[2] / "web" / "voices" / "sentences.json"
WORDS_HELP = "Exactly what is said in it. Without them the voice is less like the speaker's."
# In the session: what to say, and counts that are in the keys of fields, so that they are emptied
# when a voice was saved or changed.
_DONE, _SAVED, _CHANGED = "voices done", "voices saved", "voices changed"


def times_saved() -> int:
    """Return how many voices this session has saved."""
    return int(st.session_state.get(_SAVED, 0))


def times_changed() -> int:
    """Return how many changes of voices this session has made."""
    return int(st.session_state.get(_CHANGED, 0))


def save(connection: Connection, make: Callable[[Client], SavedVoice]) -> None:
    """Save a voice, and draw the page again, or the error."""
    _act(connection, make, lambda voice: f"Saved {voice.name}.", _SAVED)


def change(connection: Connection, act: Callable[[Client], SavedVoice], done: str) -> None:
    """Change a voice, and draw the page again with `done`, or the error."""
    _act(connection, act, lambda _: done, _CHANGED)


def _act(
    connection: Connection,
    act: Callable[[Client], SavedVoice],
    done: Callable[[SavedVoice], str],
    count: str,
) -> None:
    try:
        with connection.client(SPEECH_TIMEOUT_S) as client:
            voice = act(client)
    except VivavoceError as error:
        draw_error(error)
        return
    warnings = (f"The recording is {warning}." for warning in voice.warnings)
    st.session_state[_DONE] = " ".join((done(voice), *warnings))
    st.session_state[count] = st.session_state.get(count, 0) + 1
    st.rerun()


def draw_done() -> None:
    """Draw what was done last, once."""
    if done := st.session_state.pop(_DONE, ""):
        st.success(plain(done), icon=":material/check:")


def play(connection: Connection, language: str, voice: SpeechOptions) -> None:
    """Speak a short sentence in `language`, or in English, with the voice of the options."""
    code = language if language in sentences() else "en"
    options: SpeechOptions = {**voice, "language": code}
    try:
        with st.spinner("Speaking …"), connection.client(SPEECH_TIMEOUT_S) as client:
            speech = client.speak(sentences()[code]["try"], **options)
    except VivavoceError as error:
        draw_error(error)
    else:
        st.audio(speech.data, autoplay=True, alt="Trial of the voice")


def draw_missing(how: str | None) -> None:
    """Draw `how` the server gets what speaks with such a voice, if it lacks it."""
    if how is not None:
        text = f"You can save the voice, but not yet speak with it: {how}"
        st.info(plain(text), icon=":material/download:")


@cache
def sentences() -> dict[str, dict[str, str]]:
    """Return by language: its name, a sentence to read, and one to try a voice with."""
    found: dict[str, dict[str, str]] = json.loads(SENTENCES.read_text("utf-8"))
    return found


def language_name(code: str) -> str:
    """Return what a language calls itself, or its code."""
    return sentences()[code]["name"] if code in sentences() else code
