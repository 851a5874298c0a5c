"""Draw the tab that keeps voices of one's own: the saved ones, and the forms for new ones."""

import streamlit as st

from vivavoce.errors import VivavoceError
from vivavoce.ui.notes import draw_error
from vivavoce.ui.server_state import Connection
from vivavoce.ui.voices.acts import draw_done
from vivavoce.ui.voices.design import draw_design
from vivavoce.ui.voices.new import draw_clone, draw_import, draw_mix
from vivavoce.ui.voices.saved import draw_voice


def draw_voices(connection: Connection) -> None:
    """Draw the saved voices, and the forms for new ones."""
    try:
        with connection.client() as client:
            voices, terms = client.voices.list(), client.voices.terms()
    except VivavoceError as error:
        draw_error(error)
        return
    # In one container: the forms keep their places, and stay open, when a voice comes or goes.
    with st.container():
        draw_done()
        for voice in voices:
            with st.container(border=True):
                draw_voice(connection, voice)
        if not voices:
            st.caption("No voices yet. Record one, describe one, or mix two.")
    with st.expander("Record or upload a voice", icon=":material/mic:"):
        draw_clone(connection, terms)
    with st.expander("Describe a voice", icon=":material/edit_note:"):
        draw_design(connection, terms)
    with st.expander("Mix voices of Kokoro", icon=":material/tune:"):
        draw_mix(connection, terms)
    with st.expander("Import a voice", icon=":material/upload:"):
        draw_import(connection)
