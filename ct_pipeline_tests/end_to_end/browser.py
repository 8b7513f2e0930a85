"""A window of Debian's Chromium, for tests that use the UI as people do."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
LONGEST_WAIT_MS = 180_000  # runs and backfills wait for the daemon, which looks every few to thirty seconds


@contextmanager
def browser_page() -> Iterator[Page]:
    """An empty window. Open it last: Playwright keeps an event loop in this thread."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1700, "height": 1100})
        page.set_default_timeout(LONGEST_WAIT_MS)
        expect.set_options(timeout=LONGEST_WAIT_MS)
        yield page
        browser.close()


def screenshot_folder(otherwise: Path) -> Path:
    """The folder of CT_SCREENSHOTS, or ``otherwise``."""
    folder = Path(os.environ.get("CT_SCREENSHOTS") or otherwise)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
