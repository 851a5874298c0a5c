"""Take the screenshots of the web pages, from a real server with Chromium.

    python -m scripts.make_picture            # writes docs/page.png and docs/books.png

It needs the extras `dev` and `kokoro`, and Chromium on this machine (on Debian: apt-get install
chromium).
"""

import sys
import tempfile
from itertools import count
from pathlib import Path

from playwright.sync_api import Page, sync_playwright
from tests.conftest import serving
from tests.web.conftest import FLAGS, browser_path

from vivavoce.api.app import create_app
from vivavoce.client import Client, Consent
from vivavoce.settings import Settings

DOCS = Path(__file__).parent.parent / "docs"
WIDTH, HEIGHT = 880, 1600  # CSS pixels
BOOKS_HEIGHT = 1560
MAX_BYTES = 150_000
VOICE = "heart"
WORDS = "The lamp is on the table, and the door is open. Somebody is at home."
PARAGRAPH = (
    "On day {0} the rain had stopped by morning, and the street smelled of wet stone and coffee. "
    "In house {0}, above the bakery, a radio was playing an old song, and nobody was in a hurry."
    "\n\n"
)


def main() -> None:
    """Write the pictures. Exit with 1 if one is too large for a page."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(models=("hibari", "kokoro"), data_dir=Path(folder))
        with serving(create_app(settings)) as url, sync_playwright() as play:
            browser = play.chromium.launch(executable_path=browser_path(), args=FLAGS.split())
            page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
            _keep_voices(url)
            page.goto(url)
            _speak(page)
            _show_voices(page)
            page.screenshot(path=DOCS / "page.png")
            page.set_viewport_size({"width": WIDTH, "height": BOOKS_HEIGHT})
            page.goto(f"{url}/books")
            _narrate(page, Path(folder))
            page.screenshot(path=DOCS / "books.png")
            browser.close()
    for picture in (DOCS / "page.png", DOCS / "books.png"):
        size = picture.stat().st_size
        print(f"{picture.name}: {size:,} bytes")
        if size > MAX_BYTES:
            sys.exit(f"{picture.name} has more than {MAX_BYTES:,} bytes: make it smaller")


def _keep_voices(url: str) -> None:
    """Save a mix, and the voice of a recording."""
    with Client(url, timeout_s=300) as client:  # the models are being loaded
        client.voices.mix("evening", "af_bella(2)+af_sky(1)", description="Close and calm.")
        recording = client.speak(WORDS, speaker=VOICE).data
        consent = Consent("Anna Lind", "You may use my voice.")
        client.voices.add("anna", recording, words=WORDS, consent=consent, languages=["en"])


def _speak(page: Page) -> None:
    """Speak the page's text to its end, with a voice whose name is visible."""
    speakers = page.get_by_label("Speaker")
    speakers.locator(f"option[value={VOICE}]").wait_for(state="attached")
    speakers.select_option(VOICE)
    page.get_by_role("button", name="Speak").click()
    page.locator("main[data-state=done]").wait_for(timeout=120_000)


def _show_voices(page: Page) -> None:
    page.get_by_text("Your voices", exact=True).click()
    page.get_by_role("button", name="Try anna").wait_for()


def _narrate(page: Page, folder: Path) -> None:
    """Begin a long book, and look at the plan of a short one when a chapter can be heard."""
    chapters = ("The harbour", "A letter", "The storm", "The lighthouse", "Home")
    place = count(1)
    for title, repeats in (("The Lighthouse", 60), ("A Short Voyage", 20)):
        lines = []
        for chapter in chapters:
            lines += [f"# {chapter}\n\n", *(PARAGRAPH.format(next(place)) for _ in range(repeats))]
        book = folder / f"{title}.md"
        book.write_text("".join(lines), "utf-8")
        page.get_by_label("Book", exact=True).set_input_files(book)
        page.get_by_role("button", name="Show the plan").click()
        page.get_by_role("region", name="Plan").wait_for()
        if repeats == 60:
            page.get_by_role("button", name="Start").click()
            page.locator("article").get_by_text("Chapters").click()
            page.locator("article li button:enabled").first.wait_for(timeout=120_000)


if __name__ == "__main__":
    main()
