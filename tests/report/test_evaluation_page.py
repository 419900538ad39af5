"""What the page of the evaluation holds, that it escapes what it is given, and that it needs no network."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from itm.agreement import Interval, Spread
from itm.benchmark.page import render_evaluation, write_evaluation_page
from itm.benchmark.predictors import Kind
from itm.benchmark.results import PoolResults, PredictorResult
from itm.benchmark.verdict import verdict

SETS = ("flowers", "letters")
WICKED = '"><img src=x onerror=alert(1)> id="a" fill: #ffffff --> ]]> $x$'


class _Reader(HTMLParser):
    """Gathers the words, elements and attributes of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())


def _one(name: str, kind: Kind, mean: float, against: tuple[float, float, float] | None = None) -> PredictorResult:
    tau_by_set, tau = (mean - 0.05, mean + 0.05), Interval(mean, mean - 0.1, mean + 0.1)
    return PredictorResult(
        name, kind, SETS, tau_by_set, tau, 1.5, 0.5, 1.0, 3, 4, difference_to_itm=Interval(*against) if against else None
    )


def _pool(name: str, *others: PredictorResult) -> PoolResults:
    return PoolResults(name, ("m", "n", "o"), SETS, ("torn",), 0.2, (_one("itm", "score", 0.6), *others))


BEATEN = _pool("mini", _one("linear_probe", "control", 0.7, (0.1, 0.05, 0.15)), _one("other_seed", "ceiling", 0.9))
NOISE = _pool("real", _one("leep", "score", 0.62, (0.02, -0.1, 0.1)), _one("knn", "control", 0.61, (0.01, -0.1, 0.1)))
AHEAD = _pool("desk", _one("logme", "score", 0.2, (-0.4, -0.5, -0.2)), _one("gmacs", "control", 0.1, (-0.5, -0.7, -0.2)))
POOLS = (BEATEN, NOISE, AHEAD)


@pytest.fixture(scope="module")
def html() -> str:
    return render_evaluation(POOLS, seeds=2, image_sizes=[32, 48])


@pytest.fixture(scope="module")
def page(html: str) -> _Reader:
    return _Reader(html)


def test_the_head_says_what_was_measured(page: _Reader) -> None:
    measured = "3 models after full fine-tuning on 2 data sets, the mean of 2 seeds, on images of 32 and 48 pixels per side."
    assert f"The ground truth is the accuracy of {measured}" in page.text
    assert "on 2 data sets. A good score orders the models in the same way" in _Reader(render_evaluation((AHEAD,))).text


def test_every_pool_is_answered_truly(page: _Reader) -> None:
    assert "1 has a higher mean (clearly better: linear_probe (+0.10 [+0.05, +0.15]))" in page.text
    assert "1 has a higher mean (within noise: knn (+0.01 [-0.10, +0.10]))" in page.text
    assert "clearly better than ITM: none; within noise: leep." in page.text
    assert "ITM is clearly better than gmacs." in page.text
    assert all(" ".join(verdict(pool)[0].split()) in page.text for pool in POOLS)


def test_tables_hold_all_contenders_in_groups(page: _Reader, html: str) -> None:
    first = html[html.index('id="pool-1"') : html.index('id="pool-2"')]
    rows = [_Reader(row).text for row in re.findall(r"<tr.*?</tr>", first, flags=re.DOTALL)]
    assert [row for row in rows if len(row.split()) == 1] == ["Scores", "Controls", "Ceilings"]
    control = _Reader(rows[rows.index("Controls") + 1]).text
    assert "".join(control.split()) == "linear_probe0.70[0.60,0.80]0.65flowers1.550100+0.10[+0.05,+0.15]34"
    assert "torn left out, not measured on every model" in _Reader(first).text
    assert 'data-value="0.7"' in first
    assert page.tags.count("table") == page.tags.count("svg") == page.tags.count("nav") + 2 == 3


def test_sub_pools_have_a_column_where_there_are_any(page: _Reader) -> None:
    assert "Pools of 10" not in page.text
    more = replace(AHEAD, results=(replace(AHEAD.results[0], sub_pools=Spread(0.55, 0.04, 0.4, 0.6)), *AHEAD.results[1:]))
    text = _Reader(render_evaluation((more,))).text
    assert "Pools of 10" in text
    assert "0.55 ± 0.04" in text


def test_one_pool_needs_no_tabs() -> None:
    assert "<nav" not in render_evaluation((AHEAD,))


def test_hostile_names_are_escaped() -> None:
    standings = tuple(replace(one, name=one.name + WICKED * (one.name != "itm"), sets=(WICKED, "b")) for one in BEATEN.results)
    reader = _Reader(render_evaluation((replace(BEATEN, name=WICKED, results=standings),)))
    assert "img" not in reader.tags
    assert reader.tags.count("script") == 1
    assert not [name for name, _ in reader.attributes if name.startswith("on")]
    assert "linear_probe" + WICKED in reader.text


def test_nothing_is_loaded_from_elsewhere(page: _Reader, html: str) -> None:
    assert not {"link", "img", "iframe", "object", "embed", "base"} & set(page.tags)
    assert not [value for name, value in page.attributes if name in ("src", "srcset", "data", "poster")]
    assert all(value.startswith("#") for name, value in page.attributes if name in ("href", "xlink:href"))
    assert "@import" not in html
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", html))


def test_identifiers_are_unique_and_found(page: _Reader, html: str) -> None:
    identifiers = [value for name, value in page.attributes if name == "id"]
    assert len(identifiers) == len(set(identifiers))
    targets = {value[1:] for name, value in page.attributes if name in ("href", "xlink:href")}
    assert targets | set(re.findall(r"url\(#([^)]*)\)", html)) <= set(identifiers)


def test_figures_take_the_colours_of_the_page(html: str) -> None:
    pictures = re.findall(r"<svg.*?</svg>", html, flags=re.DOTALL)
    assert {colour for picture in pictures for colour in re.findall(r"(?:fill|stroke): (#\w+)", picture)} <= {"#000000"}


def test_page_is_written_the_same_every_time(tmp_path: Path, html: str) -> None:
    for _ in range(2):
        path = write_evaluation_page(POOLS, tmp_path / "evaluation", seeds=2, image_sizes=[48, 32])
        assert path.read_bytes() == html.encode()
    assert list(path.parent.iterdir()) == [path]
