"""Draw one saved voice: what it is, and what can be done with it."""

import re
from functools import partial

import streamlit as st

from vivavoce.client import SavedVoice
from vivavoce.ui.notes import plain, sentence
from vivavoce.ui.server_state import Connection
from vivavoce.ui.voices.acts import WORDS_HELP, change, language_name, play, times_changed
from vivavoce.ui.voices.consent import draw_consent

_SHARE = re.compile(r"\d+(\.\d+)?(?=\))")  # of a voice in a formula
_KINDS = {"cloned": "recording", "designed": "design", "mixed": "mix"}


def draw_voice(connection: Connection, voice: SavedVoice) -> None:
    """Draw a voice with its buttons."""
    st.markdown(f"**{plain(voice.name)}** · {plain(_facts(voice))}")
    with st.container(horizontal=True):
        tried = not voice.ended and st.button(
            "Try", key=f"try {voice.id}", icon=":material/play_arrow:"
        )
        if voice.changeable:
            _draw_changes(connection, voice)
    if tried:
        play(connection, next(iter(voice.languages), "en"), {"speaker": voice.id})


def _draw_changes(connection: Connection, voice: SavedVoice) -> None:
    with st.popover("Edit", icon=":material/edit:", key=_key("edit", voice)):
        _draw_edit(connection, voice)
    if voice.kind == "cloned":
        with st.popover("Consent", icon=":material/handshake:", key=_key("consent", voice)):
            _draw_consent(connection, voice)
    if not voice.ended:
        st.download_button(
            "Export",
            partial(_exported, connection, voice.id),
            file_name=f"{voice.name}.vvoice",
            mime="application/zip",
            on_click="ignore",
            key=f"export {voice.id}",
            icon=":material/download:",
        )
    with st.popover("Delete", icon=":material/delete:", key=_key("deletion", voice)):
        st.write("The voice is removed with its record.")
        if st.button("Delete it", key=f"delete {voice.id}"):
            done = f"Deleted {voice.name}."
            change(connection, lambda client: client.voices.remove(voice.id), done)


def _key(what: str, voice: SavedVoice) -> str:
    """Return a key that is another one after each change, so that what it names closes."""
    return f"{what} {voice.id} {times_changed()}"


def _facts(voice: SavedVoice) -> str:
    languages = map(language_name, voice.languages)
    formula = _SHARE.sub(lambda share: f"{float(share[0]):.2g}", voice.formula or "")
    description = voice.description.rstrip(".")
    facts = [", ".join((_KINDS[voice.kind], *languages)), formula, description]
    facts += [f"{label}: {value}" if value else label for label, value in voice.labels.items()]
    if voice.ended:
        facts.append(voice.ended)
    elif voice.consent is not None:
        until = f" until {voice.consent.expires}" if voice.consent.expires else ""
        facts.append(f"{voice.consent.by} agrees{until}")
    elif voice.kind == "cloned" and voice.changeable:
        facts.append("no record of consent")
    if voice.kind == "cloned" and voice.changeable and not (voice.ended or voice.words):
        facts.append("without the words of its recording")
    if voice.owner and voice.shared:
        facts.append(f"shared by {voice.owner}")
    return " · ".join(filter(None, facts))


def _draw_edit(connection: Connection, voice: SavedVoice) -> None:
    with st.form(_key("form", voice), border=False):
        name = st.text_input("Name", voice.name, key=_key("name", voice))
        description = st.text_area("Description", voice.description, key=_key("says", voice))
        lines = "\n".join(f"{label}: {value}" for label, value in voice.labels.items())
        help = "Words of your own, one on a line, with a value each: `mood: calm`."
        labels = st.text_area("Labels", lines, key=_key("labels", voice), help=help)
        words = voice.words or ""
        if voice.kind == "cloned" and not voice.ended:
            words = st.text_area(
                "Words of the recording", words, key=_key("words", voice), help=WORDS_HELP
            )
        asked = st.form_submit_button("Save changes", type="primary", key=_key("change", voice))
    if not asked:
        return
    parts = (line.partition(":") for line in labels.splitlines() if line.strip())
    told = {label.strip(): value.strip() for label, _, value in parts}
    said = None if words.strip() == (voice.words or "") else words.strip()
    change(
        connection,
        lambda client: client.voices.update(
            voice.id, name=name.strip(), description=description.strip(), labels=told, words=said
        ),
        f"Changed {name.strip()}.",
    )


def _draw_consent(connection: Connection, voice: SavedVoice) -> None:
    """Draw the record, what renews it, and what ends it."""
    if voice.ended:
        if voice.consent is not None:
            st.markdown(f"**{plain(voice.consent.by)}** agreed:\n> {plain(voice.consent.words)}")
        st.caption(sentence(f"{voice.ended}."))
        return
    with st.form(_key("record", voice), border=False):
        renewed = draw_consent(_key("of", voice), required=True, before=voice.consent)
        if voice.consent is not None:
            st.caption("The record that this one replaces is kept.")
        asked = st.form_submit_button("Save consent", type="primary", key=_key("renew", voice))
    if asked and renewed is not None:
        done = f"The consent to {voice.name} is saved."
        change(connection, lambda client: client.voices.renew(voice.id, renewed), done)
    st.caption("At its end the recording is erased for good, and the record stays.")
    if st.button("End the consent", key=f"revoke {voice.id}"):
        done = f"The consent to {voice.name} has ended."
        change(connection, lambda client: client.voices.revoke(voice.id), done)


def _exported(connection: Connection, id: str) -> bytes:
    with connection.client() as client:
        return client.voices.export(id)
