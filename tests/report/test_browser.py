"""The page in a real browser: no fault, no request, nothing wider than a phone, and on paper."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tfxfer.run.directory import RunDirectory

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Headless Chromium: the system's, or the one that playwright has fetched."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    with sync_api.sync_playwright() as playwright:
        kind = playwright.chromium
        if found is None and not Path(kind.executable_path).is_file():
            pytest.skip("no browser: apt-get install chromium, or playwright install chromium")
        started = kind.launch(executable_path=found, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def page_file(
    class_run: RunDirectory, photos: Path, render: Callable[..., str], tmp_path: Path
) -> Path:
    path = tmp_path / "report.html"
    path.write_text(render(class_run, photos, command="tfxfer train photos " + 30 * "long/path/"))
    return path


class Visit:
    """One look at a page, and what went on meanwhile."""

    def __init__(self, browser: Any, path: Path, **context: Any) -> None:
        self.page = browser.new_context(**context).new_page()
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(path.as_uri())
        self.asked = [url for url in self.asked if not url.startswith(("data:", path.as_uri()))]

    def style(self, selector: str, name: str) -> str:
        script = "([s, n]) => getComputedStyle(document.querySelector(s))[n]"
        found: str = self.page.evaluate(script, [selector, name])
        return found


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1200])
def test_it_is_shown_without_a_fault(
    browser: Any, page_file: Path, scheme: str, width: int
) -> None:
    visit = Visit(browser, page_file, color_scheme=scheme, viewport={"width": width, "height": 800})
    assert (visit.said, visit.asked) == ([], [])
    # The whole page is as wide as the screen: only a table may be scrolled, in its own box.
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= width
    broken = "[...document.images].filter(image => !image.naturalWidth).length"
    assert visit.page.evaluate(broken) == 0
    assert visit.page.evaluate("document.images.length") == 6
    dark = [int(part) < 128 for part in _read_colour(visit.style("body", "backgroundColor"))]
    assert all(dark) == (scheme == "dark")
    # Text of a plot is as readable as the page's: its colour goes with the background.
    text = _read_colour(visit.style("svg text", "fill"))
    back = _read_colour(visit.style("body", "backgroundColor"))
    assert abs(sum(text) - sum(back)) > 200


def test_a_name_runs_nothing(browser: Any, page_file: Path) -> None:
    # The names of this run hold `onerror=alert(1)`: a dialog would be one that ran.
    visit = Visit(browser, page_file)
    dialogs: list[str] = []
    visit.page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    visit.page.reload()
    assert dialogs == []


def test_a_page_at_fault_is_found(browser: Any, tmp_path: Path) -> None:
    path = tmp_path / "bad.html"
    path.write_text(
        "<div style='width:900px'>x</div><img src='gone.png'><script>throw Error('no')</script>"
    )
    visit = Visit(browser, path, viewport={"width": 390, "height": 800})
    assert any("no" in line for line in visit.said)
    assert visit.asked == [(tmp_path / "gone.png").as_uri()]
    assert visit.page.evaluate("document.documentElement.scrollWidth") > 390


def test_it_is_printed_light_and_whole(browser: Any, page_file: Path) -> None:
    visit = Visit(browser, page_file, color_scheme="dark")
    visit.page.emulate_media(media="print", color_scheme="dark")
    assert _read_colour(visit.style("body", "backgroundColor")) == [255, 255, 255]
    assert visit.style("nav", "display") == "none"
    # A4 without its margins: nobody scrolls a table on paper.
    visit.page.set_viewport_size({"width": 718, "height": 1000})
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= 718
    printed = visit.page.pdf(format="A4")
    assert printed.startswith(b"%PDF")
    assert printed.count(b"/Type /Page\n") + printed.count(b"/Type /Page ") >= 1


def _read_colour(text: str) -> list[int]:
    return [round(float(part)) for part in text[text.index("(") + 1 : -1].split(",")[:3]]
