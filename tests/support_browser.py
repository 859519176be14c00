"""A browser for tests, or why there is none."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

NEED_BROWSER = "DIALOGPT_NEED_BROWSER"
"""Environment variable under which what is missing is a failure; `make test-browser` sets it."""

_BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)


def needed(module: str, extra: str) -> Any:
    """The module; without it, tests are skipped, or fail where a browser is needed."""
    try:
        return pytest.importorskip(module, reason=f"needs the extra [{extra}]")
    except pytest.skip.Exception as missing:
        _without(str(missing.msg))


@contextmanager
def open_browser() -> Iterator[Any]:
    """Chromium or Chrome of the system, else the one that playwright has installed."""
    playwright = needed("playwright.sync_api", "browser")
    with playwright.sync_playwright() as engine:
        own = engine.chromium.executable_path
        path = _BROWSER or (own if Path(own).exists() else "")
        if not path:
            _without("needs Chromium or Chrome: `playwright install chromium`")
        # Without its sandbox, because tests often run as root; the page is ours.
        found = engine.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield found
        found.close()


def _without(reason: str) -> None:
    if os.environ.get(NEED_BROWSER):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason, allow_module_level=True)
