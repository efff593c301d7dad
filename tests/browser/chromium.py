"""The browser of these tests: which Chromium is used, and how it is started without talking to anybody."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)
HOW = "scripts/install_browser.sh installs one; IPT_BROWSER=/path/to/chrome names another"


def find_chromium() -> str:
    """Return the path of a Chromium: IPT_BROWSER, one on the PATH, or playwright's own; empty when there is none."""
    named = os.environ.get("IPT_BROWSER", "")
    if named:
        return named if Path(named).is_file() else ""
    for name in NAMES:
        if found := shutil.which(name):
            return found
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return ""
    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
    return own if Path(own).is_file() else ""
