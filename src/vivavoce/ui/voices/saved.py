"""Draw one saved voice: what it is, and what can be done with it."""

from functools import partial

import streamlit as st

from vivavoce.client import SavedVoice
from vivavoce.ui.notes import plain
from vivavoce.ui.server_state import Connection
from vivavoce.ui.voices.acts import change, language_name, play, times_changed

_KINDS = {"cloned": "recording", "designed": "design", "mixed": "mix"}


def draw_voice(connection: Connection, voice: SavedVoice) -> None:
    """Draw a voice with its buttons."""
    st.markdown(f"**{plain(voice.name)}** · {plain(_facts(voice))}")
    with st.container(horizontal=True):
        tried = not voice.ended and st.button(
            "Try", key=f"try {voice.id}", icon=":material/play_arrow:"
        )
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
    if tried:
        play(connection, next(iter(voice.languages), "en"), {"speaker": voice.id})


def _key(what: str, voice: SavedVoice) -> str:
    """Return a key that is another one after each change, so that what it names closes."""
    return f"{what} {voice.id} {times_changed()}"


def _facts(voice: SavedVoice) -> str:
    languages = map(language_name, voice.languages)
    facts = [", ".join((_KINDS[voice.kind], *languages)), voice.formula, voice.description]
    facts += [f"{label}: {value}" for label, value in voice.labels.items()]
    if voice.ended:
        facts.append(voice.ended)
    elif voice.consent is not None:
        until = f" until {voice.consent.expires}" if voice.consent.expires else ""
        facts.append(f"{voice.consent.by} agrees{until}")
    elif voice.kind == "cloned":
        facts.append("no record of consent")
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
        asked = st.form_submit_button("Save changes", type="primary", key=_key("change", voice))
    if not asked:
        return
    parts = (line.partition(":") for line in labels.splitlines() if line.strip())
    told = {label.strip(): value.strip() for label, _, value in parts}
    change(
        connection,
        lambda client: client.voices.update(
            voice.id, name=name.strip(), description=description.strip(), labels=told
        ),
        f"Changed {name.strip()}.",
    )


def _draw_consent(connection: Connection, voice: SavedVoice) -> None:
    """Draw the record, and what ends it."""
    consent = voice.consent
    if consent is None:
        st.write("No record of consent.")
    else:
        until = f"until {consent.expires}" if consent.expires else "without a last day"
        st.markdown(f"**{plain(consent.by)}** agrees, {until}:")
        st.markdown(f"> {plain(consent.words)}")
        if consent.scope:
            st.caption(f"For {plain(consent.scope)}")
    if voice.ended:
        st.caption(f"{plain(voice.ended[:1].upper() + voice.ended[1:])}.")
        return
    st.caption("At its end the recording is erased for good, and the record stays.")
    if st.button("End the consent", key=f"revoke {voice.id}"):
        done = f"The consent to {voice.name} has ended."
        change(connection, lambda client: client.voices.revoke(voice.id), done)


def _exported(connection: Connection, id: str) -> bytes:
    with connection.client() as client:
        return client.voices.export(id)
