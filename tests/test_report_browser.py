"""The report as a browser shows it; skipped where there is none."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest
from planted import small_bench

pytest.importorskip("playwright.sync_api")

from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

BINARIES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
]  # fmt: skip
LUMINANCE = """rgb => rgb.match(/[0-9.]+/g).slice(0, 3).map(x => x / 255)
    .map(x => x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4)
    .reduce((sum, x, i) => sum + x * [0.2126, 0.7152, 0.0722][i], 0)"""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Tables 2 to 4 of two seeds, with the figures that come with them."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        bench = small_bench(tmp_path_factory.mktemp("bench"), monkeypatch, draw=True)
        models = ("--models", "huign", "vbpr", "popularity", "--experiments", "table2", "table4")
        assert bench.run(*models, "--dataset", "toy", "--seeds", "2") == 0
        yield bench.results / "toy" / "report.html"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    binary = next(filter(None, map(shutil.which, BINARIES)), None)
    if binary is None:
        pytest.skip(f"needs one of {', '.join(BINARIES)}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=binary, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, report: Path) -> Iterator[Page]:
    page = browser.new_page()
    page.goto(report.as_uri())
    yield page
    page.close()


def test_nothing_is_loaded_and_nothing_goes_wrong(browser: Browser, report: Path) -> None:
    page, said, asked = browser.new_page(), list[str](), list[str]()
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(report.as_uri())
    assert said == []
    assert [url for url in asked if not url.startswith("data:")] == [report.as_uri()]
    shown = page.evaluate("[...document.images].map(image => image.naturalWidth)")
    assert shown
    assert all(width > 100 for width in shown)
    page.close()


@pytest.mark.parametrize("width", [390, 768, 1400])
def test_only_tables_scroll_sideways(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.evaluate("document.querySelectorAll('.scroll').length") > 3
    outside = page.evaluate(
        """width => [...document.querySelectorAll('main *')]
            .filter(element => !element.closest('.scroll, .frame'))
            .filter(element => element.getBoundingClientRect().right > width + 1)
            .map(element => element.outerHTML.slice(0, 80))""",
        width,
    )
    assert outside == []


def test_the_first_column_stays_in_sight(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 900})
    moved = page.evaluate(
        """() => {
            const frame = document.querySelector('.scroll:has(.runs)')
            const cell = frame.querySelector('tr[id] th')
            const before = cell.getBoundingClientRect().left
            frame.scrollLeft = 200
            return [frame.scrollLeft, cell.getBoundingClientRect().left - before]
        }"""
    )
    assert moved == [200, 0]


def test_links_have_their_targets_and_numbers_their_runs(page: Page) -> None:
    dangling = page.evaluate(
        """[...document.querySelectorAll('a[href^="#"]')].map(link => link.getAttribute('href'))
            .filter(href => !document.getElementById(decodeURIComponent(href.slice(1))))"""
    )
    assert dangling == []
    cells = page.evaluate(
        """[...document.querySelectorAll('section:has(> #table2) td')].map(cell =>
            [cell.innerText.trim(), cell.querySelector('a')?.getAttribute('href') ?? ''])"""
    )
    assert len(cells) == 16 * 4  # VBPR, HUIGN, what HUIGN gains, and popularity
    for text, href in cells:
        assert re.match(r"[-+\N{MINUS SIGN}]?\d", text)
        assert re.fullmatch(r"#runs?-[0-9a-f]{12}(-\d+)?", href)


def test_a_number_leads_to_its_run(page: Page) -> None:
    link = page.locator("section:has(> #table2) td a").first
    target = page.locator(link.get_attribute("href") or "")
    link.click()
    assert target.evaluate("element => element.matches(':target')")
    assert 0 <= target.evaluate("element => element.getBoundingClientRect().top") < 900


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out(browser: Browser, report: Path, scheme: Literal["light", "dark"]) -> None:
    page = browser.new_page(color_scheme=scheme)
    page.goto(report.as_uri())
    paper = page.evaluate(f"({LUMINANCE})(getComputedStyle(document.body).backgroundColor)")
    assert (paper > 0.5) == (scheme == "light")
    for words in ("main p", ".note", "main p a", "td.number", "nav a", "dt", ".group small"):
        ink = page.locator(words).first.evaluate(
            f"element => ({LUMINANCE})(getComputedStyle(element).color)"
        )
        low, high = sorted((ink, paper))
        assert (high + 0.05) / (low + 0.05) >= 4.5, words  # WCAG 2.2, level AA
    cards = page.locator(".frame").evaluate_all(
        "frames => frames.map(frame => getComputedStyle(frame).backgroundColor)"
    )
    assert set(cards) == {"rgb(255, 255, 255)"}
    page.close()


def test_it_can_be_printed(page: Page) -> None:
    pdf = page.pdf(prefer_css_page_size=True)
    assert pdf.startswith(b"%PDF")
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) > 1
    page.emulate_media(media="print")
    assert not page.locator("nav").is_visible()
    assert page.evaluate("getComputedStyle(document.querySelector('.scroll')).overflowX") == (
        "visible"
    )
