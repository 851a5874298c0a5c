"""Draw the form for a voice that is described: previews of it, to listen to and to save one of."""

import streamlit as st

from vivavoce.client import VoicePreview, VoiceTerms
from vivavoce.errors import VivavoceError
from vivavoce.ui.notes import draw_error, plain
from vivavoce.ui.server_state import Connection
from vivavoce.ui.voices.acts import language_name, save, sentences, times_saved

_PREVIEWS = "voice previews"  # in the session, with the count of voices saved before them
_DESIGN_TIMEOUT_S = 600.0  # for all previews


def draw_design(connection: Connection, terms: VoiceTerms) -> None:
    """Draw the form, or what the server lacks for it."""
    if "design" in terms.missing:
        text = f"No voice can be designed here yet: {terms.missing['design']}"
        st.info(plain(text), icon=":material/download:")
        return
    new = times_saved()
    description = st.text_area(
        "Who speaks, and how",
        key=f"design description {new}",
        placeholder="A calm old man with a deep, warm voice.",
    )
    language = st.selectbox(
        "Previews in", sentences(), format_func=language_name, key="design language"
    )
    if st.button("Make previews", key="make previews", icon=":material/graphic_eq:"):
        _make(connection, description, language, new)
    made, previews = st.session_state.get(_PREVIEWS, (new, ()))
    if made == new and previews:
        _draw_previews(connection, previews, new)


def _make(connection: Connection, description: str, language: str, new: int) -> None:
    st.session_state.pop(_PREVIEWS, None)
    try:
        with (
            st.spinner("Making previews, which may take a minute …"),
            connection.client(_DESIGN_TIMEOUT_S) as client,
        ):
            previews = client.voices.design(description.strip(), language=language)
    except VivavoceError as error:
        draw_error(error)
    else:
        st.session_state[_PREVIEWS] = new, previews


def _draw_previews(connection: Connection, previews: tuple[VoicePreview, ...], new: int) -> None:
    ids = {preview.id: number for number, preview in enumerate(previews, 1)}
    for preview in previews:
        st.caption(f"Preview {ids[preview.id]}, {preview.duration_s:.1f} s")
        st.audio(preview.audio, format="audio/wav", alt=f"Preview {ids[preview.id]}")
    chosen = st.radio(
        "Save",
        ids,
        index=None,
        format_func=lambda id: f"Preview {ids[id]}",
        horizontal=True,
        key=f"preview of {previews[0].id}",
    )
    name = st.text_input("Name", key=f"design name {new}")
    asked = st.button("Save voice", type="primary", disabled=chosen is None, key="save design")
    if asked and chosen is not None:
        save(connection, lambda client: client.voices.keep(name.strip(), chosen))
