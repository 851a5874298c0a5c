"""Draw the tab of books: a new one with its plan, and what becomes of those that are made."""

import tempfile
from functools import partial
from pathlib import Path
from typing import Any, Final

import streamlit as st

from vivavoce.client import JobEntry
from vivavoce.errors import VivavoceError
from vivavoce.ui.notes import duration, plain, sentence
from vivavoce.ui.server_state import (
    AUTO,
    SPEECH_TIMEOUT_S,
    Connection,
    ServerState,
    read_choices,
)

BOOKS: Final = ("epub", "pdf", "docx", "html", "htm", "xhtml", "md", "txt")
FORMATS: Final = {
    "m4b": "M4B audiobook", "epub": "EPUB that reads aloud", "mp3": "MP3", "opus": "Opus",
    "flac": "FLAC", "zip": "ZIP, a file for each chapter", "srt": "SRT", "vtt": "VTT",
}  # fmt: skip
PARTS: Final = {
    "title_page": "Title page", "captions": "Captions", "footnotes": "Footnotes",
    "tables": "Tables", "alt_texts": "Descriptions of pictures", "code": "Code",
    "copyright": "Copyright page", "contents": "Table of contents",
}  # fmt: skip
_SPOKEN: Final = ("title_page", "captions")
_ACTIONS: Final = {
    "queued": ("pause", "cancel"), "running": ("pause", "cancel"), "paused": ("resume", "cancel"),
    "failed": ("retry", "remove"), "cancelled": ("retry", "remove"), "done": ("remove",),
}  # fmt: skip
_LABELS: Final = {
    "pause": "Pause", "resume": "Go on", "cancel": "Cancel", "retry": "Try again",
    "remove": "Remove",
}  # fmt: skip
_REFRESH_S: Final = 2
_PLANNED: Final = "planned job"  # in the session: the job whose plan is shown, and the plan


def draw_books(connection: Connection, state: ServerState) -> None:
    """Draw the tab."""
    if state.problem:
        return
    _draw_new(connection, state)
    if _PLANNED in st.session_state:
        _draw_plan(connection, *st.session_state[_PLANNED])
    st.subheader("Your books", anchor=False)
    st.fragment(_draw_jobs, run_every=_REFRESH_S)(connection)


def _draw_new(connection: Connection, state: ServerState) -> None:
    file = st.file_uploader("Book", BOOKS, key="book")
    left, right = st.columns(2)
    speakers = {AUTO: AUTO, **read_choices(connection, state, AUTO).speakers}
    speaker = left.selectbox(
        "Voice", speakers, format_func=speakers.__getitem__, key="speaker of books"
    )
    formats = right.multiselect(
        "Files", FORMATS, ["m4b"], format_func=FORMATS.__getitem__, key="formats"
    )
    parts = st.multiselect(
        "Spoken beside the chapters", PARTS, _SPOKEN, format_func=PARTS.__getitem__, key="parts"
    )
    asked = st.button("Show the plan", type="primary", disabled=file is None or not formats)
    if not asked or file is None:
        return
    _forget(connection)
    options: dict[str, Any] = {  # of the API
        "speaker": None if speaker == AUTO else speaker,
        "formats": formats,
        "choices": {part: part in parts for part in PARTS},
        "paused": True,
    }
    try:
        with st.spinner("Reading the book …"), connection.client(SPEECH_TIMEOUT_S) as client:
            job = client.jobs.create(file.getvalue(), name=file.name, **options)
            st.session_state[_PLANNED] = job, client.jobs.plan(job.id)
    except VivavoceError as error:
        st.warning(sentence(error.message), icon=":material/edit:")


def _draw_plan(connection: Connection, job: JobEntry, plan: dict[str, Any]) -> None:
    with st.container(border=True):
        st.markdown(f"**{plain(job.title)}**")
        with st.container(horizontal=True):
            st.metric("Chapters", len(plan["chapters"]), width="content")
            st.metric("Length", duration(plan["audio_s"]), width="content")
            make_s = plan["make_s"]
            time = "not known yet" if make_s is None else duration(make_s)
            st.metric("Time to make", time, width="content")
        rows = [{"chapter": c["title"], "length": duration(c["audio_s"])} for c in plan["chapters"]]
        st.dataframe(rows, hide_index=True)
        for skipped in plan["skipped"]:
            pieces = f"{skipped['blocks']} pieces, {skipped['characters']:,} characters"
            st.caption(f"Not spoken: {plain(skipped['reason'])} ({pieces})")
        with st.container(horizontal=True):
            st.button("Start", type="primary", on_click=_start, args=(connection, job))
            st.button("Discard", on_click=_forget, args=(connection,))


def _start(connection: Connection, job: JobEntry) -> None:
    del st.session_state[_PLANNED]
    _act(connection, job.id, "resume")


def _forget(connection: Connection) -> None:
    """Remove the job whose plan is shown, if there is one."""
    if _PLANNED in st.session_state:
        job, _ = st.session_state.pop(_PLANNED)
        _act(connection, job.id, "cancel")
        _act(connection, job.id, "remove")


def _act(connection: Connection, id: str, action: str) -> None:
    try:
        with connection.client() as client:
            getattr(client.jobs, action)(id)
    except VivavoceError as error:
        st.session_state["problem of books"] = error.message


def _draw_jobs(connection: Connection) -> None:
    """Draw the jobs as they are now."""
    if problem := st.session_state.pop("problem of books", ""):
        st.warning(sentence(problem), icon=":material/edit:")
    try:
        with connection.client() as client:
            jobs = client.jobs.list()
    except VivavoceError as error:
        st.warning(sentence(error.message), icon=":material/hourglass_top:")
        return
    planned = st.session_state[_PLANNED][0].id if _PLANNED in st.session_state else None
    shown = [job for job in jobs if job.id != planned]
    if not shown:
        st.caption("None yet.")
    for job in shown:
        with st.container(border=True):
            _draw_job(connection, job)


def _draw_job(connection: Connection, job: JobEntry) -> None:
    st.markdown(f"**{plain(job.title or job.source)}**")
    st.progress(min(job.percent / 100, 1.0), text=f"{job.state} · {job.percent:.0f} %")
    if job.problem:
        st.caption(sentence(job.problem))
    with st.container(horizontal=True):
        for action in _ACTIONS[job.state]:
            key = f"{action} {job.id}"
            st.button(_LABELS[action], key=key, on_click=_act, args=(connection, job.id, action))
    try:
        _draw_made(connection, job)
    except VivavoceError as error:
        st.caption(sentence(error.message))


def _draw_made(connection: Connection, job: JobEntry) -> None:
    """Draw what can be heard and downloaded."""
    with connection.client() as client:
        ready = {one.number: one.title for one in client.jobs.chapters(job.id) if one.ready}
        files = client.jobs.files(job.id) if job.state == "done" else ()
    if files:
        with st.container(horizontal=True):
            for file in files:
                st.download_button(
                    f"Download {file.format}",
                    partial(_contents, connection, job.id, file.name),
                    file_name=file.name,
                    key=f"download {job.id} {file.name}",
                    on_click="ignore",
                    icon=":material/download:",
                )
    if ready:
        number = st.selectbox(
            "Listen to",
            ready,
            index=None,
            format_func=lambda one: ready[one] or f"Chapter {one}",
            placeholder=f"one of {len(ready)} finished chapters",
            key=f"listen {job.id}",
        )
        if number is not None:
            st.audio(_chapter(connection, job.id, number, job.updated), format="audio/flac")


def _contents(connection: Connection, id: str, name: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder, connection.client(SPEECH_TIMEOUT_S) as client:
        return client.jobs.download(id, name, Path(folder)).read_bytes()


@st.cache_data(max_entries=4, show_spinner=False)
def _chapter(connection: Connection, id: str, number: int, updated: str) -> bytes:
    """Return the audio of a chapter, once for each change of its job."""
    with tempfile.TemporaryDirectory() as folder, connection.client(SPEECH_TIMEOUT_S) as client:
        return client.jobs.download_chapter(id, number, Path(folder)).read_bytes()
