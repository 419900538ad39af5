"""The page in a real browser: it sorts, switches data sets, fits a small screen and asks nobody for anything."""

import os
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from itm.report.page import write_page
from tests.report.example import POOL, example_ranking

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install itm-rank[dev]")
if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium or google-chrome on PATH to open the page with"),
]

FAILED = "swin_large_patch4_window12_384.ms_in22k"


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    root = hasattr(os, "geteuid") and os.geteuid() == 0  # chromium refuses its sandbox to root
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"] if root else [], headless=True)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_page(example_ranking(), tmp_path_factory.mktemp("report")).as_uri()


@pytest.fixture(params=[{"width": 1400, "height": 900}], ids=["wide"])
def page(browser: "Browser", address: str, request: pytest.FixtureRequest) -> Iterator["Page"]:
    """Open the page with the network shut; at the end, nothing was asked of it and the console is empty."""
    asked: list[str] = []
    said: list[str] = []
    context = browser.new_context(viewport=request.param)
    context.route("**/*", lambda route: route.continue_() if route.request.url.startswith("file:") else route.abort())
    context.set_default_timeout(10_000)
    opened = context.new_page()
    opened.on("request", lambda sent: asked.append(sent.url))
    opened.on("console", lambda message: said.append(message.text))
    opened.on("pageerror", lambda error: said.append(str(error)))
    opened.goto(address)
    yield opened
    context.close()
    assert [url for url in asked if not url.startswith("file:")] == []
    assert said == []


def _table(page: "Page", label: str) -> "Locator":
    return page.get_by_role("table", name=f"{label} on flowers5")


def _models(page: "Page") -> list[str]:
    return [name.replace("\n", "") for name in _table(page, "Ranking").locator("tbody th .model").all_inner_texts()]


def _heading(page: "Page", label: str, table: str = "Ranking") -> "Locator":
    return _table(page, table).locator("thead th", has=page.get_by_role("button", name=label, exact=True))


def test_headings_sort_by_click(page: "Page") -> None:
    by_rank = [model[0] for model in POOL]
    assert _models(page) == by_rank
    heading = _heading(page, "GMACs")
    assert heading.get_attribute("aria-sort") == "none"
    heading.get_by_role("button").click()
    cheapest_first = [model[0] for model in sorted(POOL[:8], key=lambda model: model[2])]
    assert heading.get_attribute("aria-sort") == "ascending"
    assert _heading(page, "Rank").get_attribute("aria-sort") == "none"
    assert _models(page) == [*cheapest_first, FAILED]
    heading.get_by_role("button").click()
    assert heading.get_attribute("aria-sort") == "descending"
    assert _models(page) == [*cheapest_first[::-1], FAILED]


def test_headings_sort_by_key(page: "Page") -> None:
    _heading(page, "Latency").get_by_role("button").press("Enter")
    assert _models(page)[:2] == ["test_vit.untrained", "mobilenetv3_small_100.lamb_in1k"]
    _heading(page, "Model").get_by_role("button").press("Enter")
    assert _models(page) == [*sorted(model[0] for model in POOL[:8]), FAILED]


def test_missing_values_sort_after_the_others(page: "Page") -> None:
    for _ in range(2):
        _heading(page, "leep").get_by_role("button").click()
        assert _models(page)[-2:] == ["mobilenetv3_small_100.lamb_in1k", FAILED]


def test_details_sort_by_themselves(page: "Page") -> None:
    _heading(page, "Difference", "Details of itm").get_by_role("button").click()
    numbers = [float(text) for text in _table(page, "Details of itm").locator("tbody td:nth-child(5)").all_inner_texts()]
    assert len(numbers) == 8
    assert numbers == sorted(numbers, reverse=True)
    assert _models(page) == [model[0] for model in POOL]


def test_status_leads_to_the_reason(page: "Page") -> None:
    links = _table(page, "Ranking").locator("tbody th a")
    assert links.all_inner_texts() == ["partial", "failed"]
    links.last.click()
    assert page.get_by_role("heading", name="Failures").first.is_visible()


@pytest.mark.parametrize("page", [{"width": 1300, "height": 900}], indirect=True, ids=["1300"])
def test_tables_need_no_sideways_scrolling(page: "Page") -> None:
    for label in ("Ranking", "Details of itm"):
        around = page.get_by_role("region", name=f"{label} on flowers5")
        assert around.evaluate("around => around.scrollWidth <= around.clientWidth")


def test_tabs_show_one_data_set_at_a_time(page: "Page", address: str) -> None:
    answers = page.locator(".answer h2")
    assert [answers.nth(number).is_visible() for number in range(3)] == [True, False, False]
    page.get_by_role("tab", name="textures").click()
    assert [answers.nth(number).is_visible() for number in range(3)] == [False, True, False]
    assert page.get_by_role("tab", name="textures").get_attribute("aria-selected") == "true"
    assert page.get_by_role("tabpanel").get_by_text("For textures, fine-tune").is_visible()
    page.keyboard.press("ArrowRight")
    assert answers.nth(2).is_visible()
    page.goto("about:blank")
    page.goto(f"{address}#data-2")
    assert [answers.nth(number).is_visible() for number in range(3)] == [False, True, False]


def test_figures_are_drawn(page: "Page") -> None:
    for number, tab in enumerate(("flowers5", "textures"), start=1):
        page.get_by_role("tab", name=tab).click()
        figures = page.locator(f"#data-{number} svg[role=img]")
        assert figures.count() == 2
        for figure in figures.all():
            size = figure.bounding_box()
            assert size is not None
            assert min(size["width"], size["height"]) > 200
            mark = figure.locator("use[style*='--group-0']").first
            assert mark.evaluate("mark => getComputedStyle(mark).fill") == "rgb(0, 103, 165)"


def test_dark_readers_get_a_dark_page(page: "Page") -> None:
    page.emulate_media(color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 24, 29)"
    background = page.locator("#data-1 svg path").first
    assert background.evaluate("path => getComputedStyle(path).fill") == "rgb(20, 24, 29)"
    word = page.locator("#data-1 svg text", has_text="flowers5").first
    assert word.evaluate("word => getComputedStyle(word).fill") == "rgb(232, 235, 239)"


@pytest.mark.parametrize("page", [{"width": 400, "height": 800}], indirect=True, ids=["narrow"])
def test_small_screens_need_no_sideways_scrolling(page: "Page") -> None:
    page.eval_on_selector_all("details", "all => all.forEach(each => each.open = true)")
    for tab in page.get_by_role("tab").all():
        tab.click()
        assert page.evaluate("document.documentElement.scrollWidth") <= 400


HINT = "around => getComputedStyle(around, '::before').content"


@pytest.mark.parametrize("page", [{"width": 400, "height": 800}, {"width": 1400, "height": 900}], indirect=True)
def test_whatever_is_cut_off_has_a_hint_and_nothing_else_has(page: "Page") -> None:
    page.eval_on_selector_all("details", "all => all.forEach(each => each.open = true)")
    cut = 0
    for tab in page.get_by_role("tab").all():
        tab.click()
        page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        for around in page.locator(".scroll:visible").all():
            is_cut = around.evaluate("around => around.scrollWidth > around.clientWidth + 8")
            assert ("scroll sideways" in around.evaluate(HINT)) == is_cut
            cut += is_cut
    assert cut > 0 or page.viewport_size != {"width": 400, "height": 800}


def test_printing_shows_every_data_set(page: "Page") -> None:
    page.emulate_media(media="print")
    assert all(answer.is_visible() for answer in page.locator(".answer h2").all())
    assert not page.locator("nav").is_visible()
