"""Draw the tab that keeps voices of one's own: recorded, uploaded or mixed."""

import json
from collections.abc import Callable
from datetime import date
from functools import cache
from pathlib import Path

import streamlit as st

from vivavoce.client import Client, Consent, SavedVoice, SpeechOptions, VoiceTerms
from vivavoce.errors import VivavoceError
from vivavoce.ui.notes import draw_error, plain
from vivavoce.ui.server_state import SPEECH_TIMEOUT_S, Connection

RECORDINGS = ("wav", "mp3", "flac", "ogg", "m4a", "webm")
RATE_HZ = 48_000  # of the microphone
SENTENCES = Path(__file__).parents[1] / "web" / "voices" / "sentences.json"
MICROPHONE, FILE = "Microphone", "File"
EXAMPLE_MIX = "af_bella(2)+af_sky(1)"
_DONE, _MADE = (
    "voices done",
    "voices made",
)  # in the session: what to say, and a count of new voices
_KINDS = {"cloned": "recording", "designed": "design", "mixed": "mix"}


def draw_voices(connection: Connection) -> None:
    """Draw the saved voices, and the forms for new ones."""
    try:
        with connection.client() as client:
            voices, terms = client.voices.list(), client.voices.terms()
    except VivavoceError as error:
        draw_error(error)
        return
    if done := st.session_state.pop(_DONE, ""):
        st.success(plain(done), icon=":material/check:")
    for voice in voices:
        with st.container(border=True):
            _draw_voice(connection, voice)
    if not voices:
        st.caption("No voices yet. Record one, or mix two.")
    with st.expander("Record or upload a voice", icon=":material/mic:"):
        _draw_clone(connection, terms)
    with st.expander("Mix voices of Kokoro", icon=":material/tune:"):
        _draw_mix(connection, terms)


def _draw_voice(connection: Connection, voice: SavedVoice) -> None:
    st.markdown(f"**{plain(voice.name)}** · {plain(_facts(voice))}")
    with st.container(horizontal=True):
        tried = not voice.ended and st.button(
            "Try", key=f"try {voice.id}", icon=":material/play_arrow:"
        )
        if voice.kind == "cloned" and not voice.ended:
            with st.popover("Revoke", icon=":material/block:"):
                st.write("Its recording is erased for good, and the record stays.")
                if st.button("End the consent", key=f"revoke {voice.id}"):
                    done = f"The consent to {voice.name} has ended."
                    _change(connection, lambda client: client.voices.revoke(voice.id), done)
        with st.popover("Delete", icon=":material/delete:"):
            st.write("The voice is removed with its record.")
            if st.button("Delete it", key=f"delete {voice.id}"):
                done = f"Deleted {voice.name}."
                _change(connection, lambda client: client.voices.remove(voice.id), done)
    if tried:
        _play(connection, next(iter(voice.languages), "en"), {"speaker": voice.id})


def _facts(voice: SavedVoice) -> str:
    facts = [", ".join((_KINDS[voice.kind], *voice.languages)), voice.formula, voice.description]
    if voice.ended:
        facts.append(voice.ended)
    elif voice.consent is not None:
        until = f" until {voice.consent.expires}" if voice.consent.expires else ""
        facts.append(f"{voice.consent.by} agrees{until}")
    return " · ".join(filter(None, facts))


def _draw_clone(connection: Connection, terms: VoiceTerms) -> None:
    new = st.session_state.get(
        _MADE, 0
    )  # in the keys of fields, so that a saved voice empties them
    _draw_missing(terms.missing.get("clone"))
    left, right = st.columns(2)
    source = left.radio("From", (MICROPHONE, FILE), horizontal=True, key="voice source")
    spoken = right.selectbox(
        "Spoken in", _sentences(), format_func=lambda code: _sentences()[code]["name"], key="spoken"
    )
    if source == MICROPHONE:
        read = _sentences()[spoken]["read"]
        st.caption("Read this aloud, as you would tell it to somebody, in a quiet room:")
        st.markdown(f"> {plain(read)}")
        file = st.audio_input("Recording", sample_rate=RATE_HZ, key=f"microphone {new}")
    else:
        read = ""
        file = st.file_uploader("1 to 30 seconds of speech", RECORDINGS, key=f"upload {new}")
    words = st.text_area(
        "Words of the recording",
        read,
        key=f"words {new} {source} {spoken}",
        help="Exactly what is said in it. Without them the voice is less like the speaker's.",
    )
    consent = _draw_consent(required=terms.requires_consent, new=new)
    name = st.text_input("Name", key=f"voice name {new}")
    audio = None if file is None else file.getvalue()
    with st.container(horizontal=True):
        asked = st.button("Save voice", type="primary", disabled=audio is None, key="save voice")
        tried = "clone" not in terms.missing and st.button(
            "Try", disabled=audio is None, key="try recording"
        )
    if audio is None:
        return
    if tried:
        _play(connection, spoken, {"ref_audio": audio, "ref_text": words.strip() or None})
    if asked:
        _save(
            connection,
            lambda client: client.voices.add(
                name, audio, words=words.strip() or None, consent=consent, languages=[spoken]
            ),
        )


def _draw_consent(*, required: bool, new: int) -> Consent | None:
    st.markdown("**Consent**" if required else "**Consent** (optional)")
    st.caption("Kept with the voice. Whoever speaks must agree.")
    left, right = st.columns(2)
    by = left.text_input("Who speaks, and agrees", key=f"consent by {new}")
    expires = right.date_input(
        "Last day (optional)", None, date.today(), date.max, key=f"consent until {new}"
    )
    words = st.text_input("What they said to agree", key=f"consent words {new}")
    scope = st.text_input("What it may be used for (optional)", key=f"consent scope {new}")
    if not (required or by.strip() or words.strip()):
        return None
    return Consent(by.strip(), words.strip(), scope.strip(), expires)


def _draw_mix(connection: Connection, terms: VoiceTerms) -> None:
    _draw_missing(terms.missing.get("mix"))
    text = "Voices with their weights, joined by + or -: two thirds of Bella, one of Sky."
    formula = st.text_input("Formula", EXAMPLE_MIX, key="formula", help=text)
    name = st.text_input("Name", key=f"mix name {st.session_state.get(_MADE, 0)}")
    with st.container(horizontal=True):
        asked = st.button("Save mix", type="primary", key="save mix")
        tried = "mix" not in terms.missing and st.button("Try", key="try mix")
    if tried:
        _play(connection, "en", {"speaker": formula})
    if asked:
        _save(connection, lambda client: client.voices.mix(name, formula))


def _draw_missing(how: str | None) -> None:
    if how is not None:
        text = f"You can save the voice, but not yet speak with it: {how}"
        st.info(plain(text), icon=":material/download:")


def _play(connection: Connection, language: str, voice: SpeechOptions) -> None:
    """Speak a short sentence in `language`, or in English, with the voice of the options."""
    code = language if language in _sentences() else "en"
    options: SpeechOptions = {**voice, "language": code}
    try:
        with st.spinner("Speaking …"), connection.client(SPEECH_TIMEOUT_S) as client:
            speech = client.speak(_sentences()[code]["try"], **options)
    except VivavoceError as error:
        draw_error(error)
    else:
        st.audio(speech.data, autoplay=True, alt="Trial of the voice")


def _save(connection: Connection, make: Callable[[Client], SavedVoice]) -> None:
    try:
        with connection.client(SPEECH_TIMEOUT_S) as client:
            voice = make(client)
    except VivavoceError as error:
        draw_error(error)
        return
    st.session_state[_MADE] = st.session_state.get(_MADE, 0) + 1
    warnings = (f"The recording is {warning}." for warning in voice.warnings)
    _tell(" ".join((f"Saved {voice.name}.", *warnings)))


def _change(connection: Connection, change: Callable[[Client], SavedVoice], done: str) -> None:
    try:
        with connection.client() as client:
            change(client)
    except VivavoceError as error:
        draw_error(error)
        return
    _tell(done)


def _tell(done: str) -> None:
    """Draw the page again, with what has been done."""
    st.session_state[_DONE] = done
    st.rerun()


@cache
def _sentences() -> dict[str, dict[str, str]]:
    """Return by language: its name, a sentence to read, and one to try a voice with."""
    sentences: dict[str, dict[str, str]] = json.loads(SENTENCES.read_text("utf-8"))
    return sentences
