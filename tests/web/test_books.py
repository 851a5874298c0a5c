"""Check the page of books in a real browser with a real server."""

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import BrowserContext, FilePayload, Page, expect

from tests.conftest import serving, tone_pool
from tests.web.conftest import Visit
from vivavoce.api.app import create_app
from vivavoce.keys import FILE_NAME, KeyFile
from vivavoce.settings import Settings

pytestmark = pytest.mark.slow

BOOK = b"# The lamp\n\nThe lamp is on the table.\n\n# The rain\n\nIt rains. It rains again.\n"
LONG = b"".join(
    b"# Part %d\n\n%s\n\n" % (n, b"It rains again and again. " * 200) for n in range(1, 5)
)
SOON_MS = 30_000


def book(data: bytes = BOOK, name: str = "book.md") -> FilePayload:
    return {"name": name, "mimeType": "text/markdown", "buffer": data}


@pytest.fixture(scope="module")
def books_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    settings = Settings(data_dir=tmp_path_factory.mktemp("jobs"), provenance="tags")
    with serving(create_app(settings, tone_pool(real_time_factor=0.05))) as url:
        yield url


def opened(context: BrowserContext, url: str) -> Visit:
    visit = Visit(context.new_page())
    visit.page.on("request", visit.on_request)
    visit.page.on("console", visit.on_console)
    visit.page.on("pageerror", visit.on_error)
    visit.page.goto(f"{url}/books")
    return visit


@pytest.fixture
def visit(context: BrowserContext, books_url: str) -> Iterator[Visit]:
    for job in httpx.get(f"{books_url}/v1/jobs").json()["jobs"]:
        httpx.post(f"{books_url}/v1/jobs/{job['id']}/cancel")
        while httpx.delete(f"{books_url}/v1/jobs/{job['id']}").status_code == 409:  # it ends
            time.sleep(0.1)
    visit = opened(context, books_url)
    visit.page.get_by_label("Voice").locator("option", has_text="Sine").wait_for(state="attached")
    yield visit
    assert visit.problems == []
    assert all(url.startswith((books_url, "blob:")) for url in visit.urls)


def plan(page: Page, data: bytes = BOOK) -> None:
    page.get_by_label("Book", exact=True).set_input_files(book(data))
    page.get_by_role("button", name="Show the plan").click()
    expect(page.get_by_role("region", name="Plan")).to_be_visible(timeout=SOON_MS)


def test_book_is_planned_made_heard_and_downloaded(visit: Visit) -> None:
    page = visit.page
    page.get_by_label("M4B audiobook").uncheck()
    page.get_by_label("FLAC").check()
    plan(page)
    planned = page.get_by_role("region", name="Plan")
    expect(
        planned.get_by_role("list", name="Chapters of the plan").get_by_role("listitem")
    ).to_have_count(2)
    expect(planned).to_contain_text("The rain")
    planned.get_by_role("button", name="Start").click()
    expect(planned).to_be_hidden()
    job = page.get_by_role("article")
    expect(job).to_have_attribute("data-state", "done", timeout=SOON_MS)
    expect(job.get_by_role("status")).to_contain_text("Done")
    job.get_by_text("Chapters").click()
    job.get_by_role("button", name="Listen to The lamp").click()
    expect(job.get_by_role("button", name="Listen to The lamp")).to_have_attribute(
        "aria-pressed", "true"
    )
    while not page.evaluate("document.querySelector('audio').duration > 0.5"):
        page.wait_for_timeout(50)
    # At its end the next chapter begins.
    expect(job.get_by_role("button", name="Listen to The rain")).to_have_attribute(
        "aria-pressed", "true", timeout=SOON_MS
    )
    with page.expect_download() as download:
        job.get_by_role("button", name="Download FLAC").click()
    assert Path(download.value.path()).read_bytes()[:4] == b"fLaC"
    job.get_by_role("button", name="Remove").click()
    expect(page.get_by_text("None yet.")).to_be_visible()


def test_book_is_dropped_watched_paused_and_cancelled(visit: Visit, books_url: str) -> None:
    page = visit.page
    transfer = page.evaluate_handle(
        """(text) => { const data = new DataTransfer();
        data.items.add(new File([text], "dropped.md")); return data; }""",
        LONG.decode(),
    )
    page.dispatch_event("#drop", "drop", {"dataTransfer": transfer})
    expect(page.get_by_text("dropped.md")).to_be_visible()
    page.get_by_role("button", name="Show the plan").click()
    page.get_by_role("button", name="Start").click()
    job = page.get_by_role("article")
    # A chapter can be heard before the book is done.
    job.get_by_text("Chapters").click()
    expect(job.get_by_role("button", name="Listen to Part 1")).to_be_enabled(timeout=SOON_MS)
    expect(job).to_have_attribute("data-state", "running")
    expect(job.get_by_role("status")).to_contain_text("chapter")
    job.get_by_role("button", name="Pause").click()
    expect(job).to_have_attribute("data-state", "paused")
    made = job.get_by_role("progressbar").evaluate("bar => bar.value")
    assert 0 < made < 100
    page.reload()  # nothing depends on the page
    expect(job).to_have_attribute("data-state", "paused")
    job.get_by_role("button", name="Go on").click()
    expect(job).to_have_attribute("data-state", "running")
    job.get_by_role("button", name="Cancel").click()
    expect(job).to_have_attribute("data-state", "cancelled")
    expect(job.get_by_role("button", name="Try again")).to_be_visible()


def test_plan_can_be_discarded(visit: Visit, books_url: str) -> None:
    plan(visit.page)
    assert httpx.get(f"{books_url}/v1/jobs").json()["total"] == 1
    visit.page.get_by_role("button", name="Discard").click()
    expect(visit.page.get_by_role("region", name="Plan")).to_be_hidden()
    while httpx.get(f"{books_url}/v1/jobs").json()["total"]:
        visit.page.wait_for_timeout(50)


def test_wrong_choices_are_said_beside_their_fields(visit: Visit) -> None:
    page = visit.page
    page.get_by_role("button", name="Show the plan").click()
    expect(page.locator("#file-error")).to_contain_text("Choose a book first")
    page.get_by_label("Book", exact=True).set_input_files(book(name="book.md"))
    page.get_by_label("M4B audiobook").uncheck()
    page.get_by_role("button", name="Show the plan").click()
    expect(page.locator("#formats-error")).to_contain_text("at least one")


def test_page_works_with_a_key(context: BrowserContext, tmp_path: Path) -> None:
    key = KeyFile(tmp_path / FILE_NAME).create("reader")
    with serving(create_app(Settings(data_dir=tmp_path, provenance="tags"), tone_pool())) as url:
        page = opened(context, url).page
        expect(page.locator("#key-error")).to_contain_text("API key")
        page.get_by_label("API key").fill(key)
        page.get_by_label("API key").press("Tab")
        plan(page)
        page.get_by_role("button", name="Start").click()
        job = page.get_by_role("article")
        expect(job).to_have_attribute("data-state", "done", timeout=SOON_MS)
        job.get_by_text("Chapters").click()
        job.get_by_role("button", name="Listen to The lamp").click()
        while not page.evaluate("document.querySelector('audio').duration > 0.5"):
            page.wait_for_timeout(50)
        assert page.locator("audio").get_attribute("src").startswith("blob:")  # type: ignore[union-attr]  # it has one
        with page.expect_download() as download:
            job.get_by_role("button", name="Download M4B").click()
        assert b"ftyp" in Path(download.value.path()).read_bytes()[:16]


def test_page_can_be_used_without_a_mouse_and_on_a_phone(visit: Visit) -> None:
    page = visit.page
    page.set_viewport_size({"width": 320, "height": 640})
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= 320
    unnamed = page.evaluate(
        """[...document.querySelectorAll("input, select, button")]
        .filter((e) => !e.labels?.length && !e.textContent.trim()).map((e) => e.id)"""
    )
    assert unnamed == []
