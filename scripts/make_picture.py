"""Take the README's screenshot of the web page, from a real server with Chromium.

    python -m scripts.make_picture            # writes docs/page.png

It needs the extras `dev` and `kokoro`, and Chromium on this machine (on Debian: apt-get install
chromium).
"""

import sys
from pathlib import Path

from playwright.sync_api import Page, sync_playwright
from tests.conftest import serving
from tests.web.conftest import FLAGS, browser_path

from vivavoce.api.app import create_app
from vivavoce.settings import Settings

PICTURE = Path(__file__).parent.parent / "docs" / "page.png"
WIDTH, HEIGHT = 880, 1000  # CSS pixels
MAX_BYTES = 150_000
VOICE = "heart"


def main() -> None:
    """Write the picture. Exit with 1 if it is too large for a README."""
    with (
        serving(create_app(Settings(models=("hibari", "kokoro")))) as url,
        sync_playwright() as play,
    ):
        browser = play.chromium.launch(executable_path=browser_path(), args=FLAGS.split())
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        page.goto(url)
        _speak(page)
        page.screenshot(path=PICTURE)
        browser.close()
    size = PICTURE.stat().st_size
    print(f"{PICTURE.name}: {size:,} bytes")
    if size > MAX_BYTES:
        sys.exit(f"the picture has more than {MAX_BYTES:,} bytes: make WIDTH or HEIGHT smaller")


def _speak(page: Page) -> None:
    """Speak the page's text to its end, with a voice whose name is visible."""
    speakers = page.get_by_label("Speaker")
    speakers.locator(f"option[value={VOICE}]").wait_for(state="attached")
    speakers.select_option(VOICE)
    page.get_by_role("button", name="Speak").click()
    page.locator("main[data-state=done]").wait_for(timeout=120_000)


if __name__ == "__main__":
    main()
