"""Test the tab of books with Streamlit's test driver and a real server."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

pytest.importorskip("streamlit", reason="the demo page needs streamlit: pip install 'vivavoce[ui]'")

from streamlit.testing.v1 import AppTest

import vivavoce.ui
from tests.conftest import serving, tone_pool
from vivavoce.api.app import create_app
from vivavoce.settings import Settings
from vivavoce.ui.launch import SERVER_URL

SCRIPT = Path(vivavoce.ui.__file__).with_name("app.py")
BOOK = b"# The lamp\n\nThe lamp is on the table.\n\n# The rain\n\nIt rains.\n"


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    with serving(create_app(Settings(data_dir=tmp_path, provenance="tags"), tone_pool())) as url:
        yield url


@pytest.fixture
def page(url: str, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setenv(SERVER_URL, url)
    page = AppTest.from_file(SCRIPT, default_timeout=60)
    page.session_state["tab"] = "Books"
    page.run()
    assert not page.exception
    return page


def click(page: AppTest, label: str) -> None:
    next(button for button in page.button if button.label == label).click()
    page.run()
    assert not page.exception


def labels(page: AppTest) -> list[str]:
    return [button.label for button in page.button]


def shown(page: AppTest) -> str:
    return "\n".join(element.value for element in (*page.markdown, *page.caption, *page.warning))


def plan(page: AppTest, name: str = "book.md", data: bytes = BOOK) -> None:
    page.file_uploader(key="book").set_value((name, data, "text/markdown"))
    page.multiselect(key="formats").set_value(["flac"])
    page.run()
    click(page, "Show the plan")


def test_book_is_planned_made_heard_and_downloaded(page: AppTest, url: str) -> None:
    assert "None yet." in shown(page)
    plan(page)
    assert [metric.label for metric in page.metric] == ["Chapters", "Length", "Time to make"]
    assert page.metric[0].value == "2"
    assert list(page.dataframe[0].value["chapter"]) == ["The lamp", "The rain"]
    click(page, "Start")
    [job] = httpx.get(f"{url}/v1/jobs").json()["jobs"]
    httpx.get(f"{url}/v1/jobs/{job['id']}/events", timeout=60)  # until it ends
    page.run()
    assert "Remove" in labels(page)
    assert [button.label for button in page.download_button] == ["Download flac"]
    page.selectbox(key=f"listen {job['id']}").select_index(0).run()
    assert len(page.get("audio")) == 1
    click(page, "Remove")
    assert httpx.get(f"{url}/v1/jobs").json()["total"] == 0


def test_plan_can_be_discarded(page: AppTest, url: str) -> None:
    plan(page)
    click(page, "Discard")
    assert "Start" not in labels(page)
    assert httpx.get(f"{url}/v1/jobs").json()["total"] == 0


def test_file_that_is_no_book_is_a_warning(page: AppTest) -> None:
    plan(page, "book.epub", b"nothing")
    assert page.warning
    assert "Start" not in labels(page)
