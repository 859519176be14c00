"""Browser tests are skipped where nothing can run them, unless they are asked for."""

import subprocess
from configparser import ConfigParser
from pathlib import Path

import pytest
from support_browser import NEED_BROWSER, needed

ROOT = Path(__file__).parents[2]


def test_what_is_missing_is_a_skip_or_a_failure_where_a_browser_is_needed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(NEED_BROWSER, raising=False)
    with pytest.raises(pytest.skip.Exception, match=r"needs the extra \[browser\]"):
        needed("no_such_module", "browser")
    monkeypatch.setenv(NEED_BROWSER, "1")
    with pytest.raises(pytest.fail.Exception, match=r"needs the extra \[browser\]"):
        needed("no_such_module", "browser")


def test_make_runs_the_browser_tests_with_what_they_need() -> None:
    config = ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    assert "playwright" in config["options.extras_require"]["browser"]
    ran = subprocess.run(
        ["make", "-n", "test-browser"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "[browser,web]" in ran.stdout
    assert "playwright install chromium" in ran.stdout
    for file in ("test_humaneval_page.py", "test_web_page.py"):
        assert f"tests/integration/{file}" in ran.stdout
    assert f"{NEED_BROWSER}=1" in ran.stdout
