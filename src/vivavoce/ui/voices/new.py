"""Draw the forms for new voices: recorded or uploaded, mixed, and imported."""

import streamlit as st

from vivavoce.client import RecordingCheck, VoiceTerms
from vivavoce.errors import VivavoceError
from vivavoce.ui.notes import draw_error, plain
from vivavoce.ui.server_state import SPEECH_TIMEOUT_S, Connection
from vivavoce.ui.voices.acts import (
    WORDS_HELP,
    draw_missing,
    language_name,
    play,
    save,
    sentences,
    times_saved,
)
from vivavoce.ui.voices.consent import draw_consent

RECORDINGS = ("wav", "mp3", "flac", "ogg", "m4a", "webm")
RATE_HZ = 48_000  # of the microphone
MICROPHONE, FILE = "Microphone", "File"
EXAMPLE_MIX = "af_bella(2)+af_sky(1)"


def draw_clone(connection: Connection, terms: VoiceTerms) -> None:
    """Draw the form for the voice of a recording."""
    new = times_saved()
    draw_missing(terms.missing.get("clone"))
    left, right = st.columns(2)
    source = left.radio("From", (MICROPHONE, FILE), horizontal=True, key="voice source")
    spoken = right.selectbox("Spoken in", sentences(), format_func=language_name, key="spoken")
    if source == MICROPHONE:
        read = sentences()[spoken]["read"]
        st.caption("Read this aloud, as you would tell it to somebody, in a quiet room:")
        st.markdown(f"> {plain(read)}")
        file = st.audio_input("Recording", sample_rate=RATE_HZ, key=f"microphone {new}")
    else:
        read = ""
        file = st.file_uploader("1 to 30 seconds of speech", RECORDINGS, key=f"upload {new}")
    audio = None if file is None else _checked(connection, file.getvalue())
    words = st.text_area(
        "Words of the recording",
        read,
        key=f"words {new} {source} {spoken}",
        help=WORDS_HELP,
    )
    st.markdown("**Consent**" if terms.requires_consent else "**Consent** (optional)")
    st.caption("Kept with the voice. Whoever speaks must agree.")
    consent = draw_consent(f"{new}", required=terms.requires_consent)
    name = st.text_input("Name", key=f"voice name {new}")
    with st.container(horizontal=True):
        asked = st.button("Save voice", type="primary", disabled=audio is None, key="save voice")
        tried = "clone" not in terms.missing and st.button(
            "Try", disabled=audio is None, key="try recording"
        )
    if audio is None:
        return
    if tried:
        play(connection, spoken, {"ref_audio": audio, "ref_text": words.strip() or None})
    if asked:
        save(
            connection,
            lambda client: client.voices.add(
                name, audio, words=words.strip() or None, consent=consent, languages=[spoken]
            ),
        )


def _checked(connection: Connection, audio: bytes) -> bytes | None:
    """Draw what a recording lacks, and return it, or draw why it makes no voice."""
    try:
        checked = _check(connection, audio)
    except VivavoceError as error:
        draw_error(error)
        return None
    lacks = " ".join(f"It is {warning}." for warning in checked.warnings)
    st.caption(f"{checked.duration_s:.1f} s of sound. {plain(lacks) or 'A good recording.'}")
    return audio


@st.cache_data(max_entries=4, show_spinner="Checking the recording …")
def _check(connection: Connection, audio: bytes) -> RecordingCheck:
    with connection.client(SPEECH_TIMEOUT_S) as client:
        return client.voices.check(audio)


def draw_mix(connection: Connection, terms: VoiceTerms) -> None:
    """Draw the form for a mix."""
    draw_missing(terms.missing.get("mix"))
    text = "Voices with their weights, joined by + or -: two thirds of Bella, one of Sky."
    formula = st.text_input("Formula", EXAMPLE_MIX, key="formula", help=text)
    name = st.text_input("Name", key=f"mix name {times_saved()}")
    with st.container(horizontal=True):
        asked = st.button("Save mix", type="primary", key="save mix")
        tried = "mix" not in terms.missing and st.button("Try", key="try mix")
    if tried:
        play(connection, "en", {"speaker": formula})
    if asked:
        save(connection, lambda client: client.voices.mix(name, formula))


def draw_import(connection: Connection) -> None:
    """Draw the form for the file of an export."""
    new = times_saved()
    file = st.file_uploader("File of an export (.vvoice)", ["vvoice"], key=f"import {new}")
    name = st.text_input("Another name (optional)", key=f"import name {new}")
    asked = st.button("Import voice", type="primary", disabled=file is None, key="import voice")
    if asked and file is not None:
        data = file.getvalue()
        save(connection, lambda client: client.voices.import_(data, name=name.strip() or None))
