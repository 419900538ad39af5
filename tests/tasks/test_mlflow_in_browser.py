"""MLflow in a real browser, as a user opens it for the first time: every page shows the candidates without hand-work."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from itm.core.params import Params
from itm.core.rankings import DataRanking
from itm.core.yaml_records import parse
from itm.run import pipeline
from itm.store.layout import Store

pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install itm-rank[dev]")
from benchmarks.mlflow_pages import CHROMIUM, POINT, browser_page, open_charts, open_models, open_table, running_server

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [
    pytest.mark.servers,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium or google-chrome on PATH to open the pages with"),
]

DATA = "digits"
# the largest number of separate lines that a column of pixels of the parallel coordinates crosses
LINES = """() => {
  const canvas = document.querySelector('.parcoords canvas.foreground'), { width, height } = canvas
  const pixels = canvas.getContext('2d').getImageData(0, 0, width, height).data
  const drawn = (x, y) => pixels[4 * (y * width + x) + 3] > 60
  const rows = [...Array(height).keys()].slice(1)
  return Math.max(...[...Array(width).keys()].map(x => rows.filter(y => drawn(x, y) && !drawn(x, y - 1)).length))
}"""


@dataclass(frozen=True)
class Project:
    """A project whose ranking is tracked, and the links that the command for MLflow prints there."""

    params: Params
    data: DataRanking
    links: dict[str, str]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """Rank small models on 100 digits, track the ranking, and start MLflow."""
    from tasks.track.ranking import track

    folder = tmp_path_factory.mktemp("ui")
    values = {
        "data": {"sets": [DATA, "csv:nowhere.csv"], "max_images": 100},
        "zoo": {"models": ["test_*", "no_such_model"]},
        "score": {"names": ["knn", "logme", "itm"], "rank_by": "itm"},
        "runner": {"kind": "inline"},
        "store": str(folder / "kept"),
    }
    (folder / "params.yaml").write_text(yaml.safe_dump(values))
    params = parse(values, Params, "test")
    store = Store(params.store)
    ranking = pipeline.run(params, store)
    track.fn(ranking, params.tracking, store)
    with running_server(folder) as links:
        yield Project(params, ranking.data_sets[0], links)


@pytest.fixture
def links(made: Project) -> dict[str, str]:
    return made.links


@pytest.fixture
def data(made: Project) -> DataRanking:
    return made.data


@pytest.fixture
def page() -> Iterator["Page"]:
    """Yield the page of a new user; at the end, no script has failed."""
    problems: list[str] = []
    with browser_page() as opened:
        opened.on("pageerror", lambda error: problems.append(str(error)))
        yield opened
    assert [problem for problem in problems if "ResizeObserver" not in problem] == []


def cells(page: "Page", column: str) -> list[str]:
    """Return the text of the cells of a column that are in sight, from top to bottom."""
    found = page.eval_on_selector_all(
        f".ag-cell[col-id={json.dumps(column)}]",
        "cells => cells.map(cell => [cell.getBoundingClientRect(), cell.innerText])"
        f".filter(([box]) => box.right <= {page.viewport_size['width'] if page.viewport_size else 0})"
        ".map(([box, text]) => [box.top, text])",
    )
    return [text for _, text in sorted(found)]


def test_each_data_set_that_was_ranked_has_a_link(links: dict[str, str]) -> None:
    assert set(links) == {DATA}  # the other one failed


def test_the_table_shows_names_and_scores_without_a_click(page: "Page", links: dict[str, str], data: DataRanking) -> None:
    open_table(page, links[DATA])
    ranked = [row for row in data.rows if row.rank]
    shown = cells(page, f"metrics.`{data.rank_by}`")
    assert [float(text) for text in shown if text != "-"] == _rounded([row.scores[data.rank_by].value for row in ranked])
    named = dict(zip(cells(page, "tags.`model`"), shown, strict=True))  # equal scores can be in any order
    assert {row.model: float(named[row.model]) for row in ranked} == _rounded(
        {row.model: row.scores[data.rank_by].value for row in ranked}
    )
    assert page.get_by_text(f"For {DATA}, fine-tune {data.rows[0].model}").is_visible()


def test_the_models_have_metrics_of_the_data_set(page: "Page", links: dict[str, str], data: DataRanking) -> None:
    open_models(page, links[DATA])
    ranked = [row for row in data.rows if row.rank]
    names = page.locator('.ag-cell[col-id="name"] a').all_inner_texts()
    assert sorted(names) == sorted(re.sub(r"[/:.%\"']", "-", row.model) for row in ranked)
    assert f"Dataset:\n{DATA} (#{data.hash[:12]})" in page.locator(".ag-header-group-cell").all_inner_texts()
    scores = page.locator(f".ag-cell[col-id*='metricKey&quot;:&quot;{data.rank_by}&quot;']").all_inner_texts()
    assert sorted(map(float, scores)) == _rounded(sorted(row.scores[data.rank_by].value for row in ranked))


def _rounded(values: Any) -> Any:
    """Return what compares equal to the values as MLflow shows them, with a few digits."""
    return pytest.approx(values, abs=1e-3)


def test_the_view_draws_every_model_and_its_link_brings_it_back(page: "Page", links: dict[str, str], data: DataRanking) -> None:
    open_charts(page, links[DATA])
    ranked = [row for row in data.rows if row.rank]
    _check_charts(page, len(ranked))
    page.reload()
    with page.expect_popup() as opened:
        page.get_by_role("link", name="compare the candidates").click()
    opened.value.wait_for_selector(POINT)
    opened.value.wait_for_selector(".parcoords canvas")
    opened.value.wait_for_timeout(2000)
    _check_charts(opened.value, len(ranked))


def _check_charts(page: "Page", models: int) -> None:
    """Check two scatter plots with a point per model, and parallel coordinates with a line per model."""
    counted = "plots => plots.map(plot => plot.querySelectorAll('.scatterlayer .point').length)"
    points = [count for count in page.eval_on_selector_all(".js-plotly-plot", counted) if count]
    assert points == [models, models]
    assert page.locator(".parcoords .dimension").count() == 3  # knn, logme and itm
    assert page.evaluate(LINES) >= models // 2  # lines of close scores touch


def test_the_registry_shows_the_recommended_model_and_it_can_be_loaded(page: "Page", made: Project) -> None:
    from mlflow import MlflowClient

    links, uri = made.links, made.params.tracking.uri
    version = MlflowClient(uri, uri).get_model_version_by_alias(f"itm-{DATA}", "recommended")
    assert version.tags["loadable"] == "yes"
    page.goto(re.sub(r"#.*", "#/models?workflowType=machine_learning", links[DATA]))
    page.get_by_role("link", name=f"itm-{DATA}", exact=True).wait_for()
    assert page.get_by_text("recommended").count()
