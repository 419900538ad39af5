"""The page of the evaluation in a real browser: it sorts within groups, switches pools and fits its screens."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from itm.agreement import Interval, Spread
from itm.benchmark.page import write_evaluation_page
from itm.benchmark.predictors import Kind
from itm.benchmark.results import PoolResults, PredictorResult

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install itm-rank[dev]")
if TYPE_CHECKING:
    from playwright.sync_api import Page

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium or google-chrome on PATH to open the page with"),
]


def _one(name: str, kind: Kind, mean: float, regret: float) -> PredictorResult:
    tau, difference = Interval(mean, mean - 0.1, mean + 0.1), Interval(-0.123, -0.234, 0.345)
    spread = Spread(mean, 0.04, 0.1, 0.9)
    return PredictorResult(
        name, kind, ("flowers",), (mean,), tau, regret, 0.5, 1.0, sub_pools=spread, difference_to_itm=difference
    )


STANDINGS = (
    _one("itm", "score", 0.6, 3.0),
    _one("logme", "score", 0.5, 1.0),
    _one("leep", "score", 0.4, 2.0),
    _one("mean_rank_elsewhere", "control", 0.7, 0.5),
    _one("knn", "control", 0.3, 0.1),
    _one("other_seed", "ceiling", 0.9, 0.0),
)


@pytest.fixture
def page(tmp_path: Path) -> Iterator["Page"]:
    """Open the page of two pools; at the end the console is empty."""
    pools = [PoolResults(name, ("m", "n"), ("flowers",), (), 0.2, STANDINGS) for name in ("desk", "mini")]
    address = write_evaluation_page(pools, tmp_path, seeds=2).as_uri()
    root = hasattr(os, "geteuid") and os.geteuid() == 0  # chromium refuses its sandbox to root
    said: list[str] = []
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"] if root else [], headless=True)
        page = opened.new_page(viewport={"width": 1300, "height": 900})
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(address)
        yield page
        opened.close()
    assert said == []


def test_the_page_works(page: "Page") -> None:
    table = page.get_by_role("table", name="Standings in desk")
    assert table.locator("..").evaluate("around => around.scrollWidth <= around.clientWidth")
    table.get_by_role("button", name="Regret").click()
    names = [name.strip() for name in table.locator("tbody th").all_inner_texts()]
    assert names == ["Scores", "logme", "leep", "itm", "Controls", "knn", "mean_rank_elsewhere", "Ceilings", "other_seed"]
    page.get_by_role("tab", name="mini").click()
    assert not table.is_visible()
    assert page.get_by_role("table", name="Standings in mini").is_visible()
    assert page.locator("#pool-2 svg[role=img]").is_visible()
    page.set_viewport_size({"width": 400, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
