"""What a ranking offers in Python: rows, tables, figures and the view of a notebook."""

from dataclasses import replace
from html.parser import HTMLParser

import polars as pl
import pytest

import itm
from itm.core.errors import ModelError, ParamsError
from itm.core.extras import MissingExtraError
from itm.core.rankings import RankedModel
from itm.core.types import Failure
from tests.report.example import HOSTILE, POOL, example_ranking


@pytest.fixture
def ranking() -> itm.ModelRanking:
    """Return a ranking with three tied models, one that failed, and a hostile name."""
    whole = example_ranking()
    return itm.ModelRanking(replace(whole, data_sets=whole.data_sets[:1]))


def _of_rows(ranking: itm.ModelRanking, *rows: RankedModel) -> itm.ModelRanking:
    return itm.ModelRanking(replace(ranking.ranking, data_sets=(replace(ranking.data, rows=rows),)))


def test_the_models_that_matter_have_names(ranking):
    assert ranking.best.model == POOL[0][0]
    assert [row.model for row in ranking.tied] == [POOL[1][0], POOL[2][0]]
    assert ranking.cheapest.model == POOL[2][0]
    assert ranking.answer.startswith(f"For flowers5, fine-tune {POOL[0][0]}. It is tied with")
    assert ranking.answer.endswith("with 1.08 GMACs per image instead of 16.9.")
    assert len(ranking) == 9
    assert [row.rank for row in ranking] == [*range(1, 9), None]
    assert [failure.step for failure in ranking.failures] == ["score", "extract"]


def test_without_any_ranked_model_the_reasons_are_the_error(ranking):
    failed = RankedModel("resnet", "failed", failures=(Failure("flowers5", "resnet", "extract", "no weights."),))
    with pytest.raises(ModelError, match="no model could be ranked on flowers5: resnet: no weights"):
        _ = _of_rows(ranking, failed).best


def test_the_table_has_a_row_per_model_and_says_why_one_failed(ranking):
    table = ranking.to_polars()
    assert table.columns[:8] == ["rank", "model", "status", "score", "low", "high", "tie_group", "tied_with_first"]
    first, last = table.row(0, named=True), table.row(-1, named=True)
    assert (first["rank"], first["score"], first["itm"], first["parameters"]) == (1, 0.934, 0.934, 86_567_656)
    assert first["low"] < 0.934 < first["high"]
    assert (last["rank"], last["score"], last["gmacs"]) == (None, None, None)
    assert last["reason"].startswith("extract: [enforce fail at alloc_cpu.cpp:127]")
    assert table.filter(pl.col("tied_with_first"))["rank"].to_list() == [1, 2, 3]
    frame = ranking.to_pandas()
    assert list(frame.columns) == table.columns
    assert frame.loc[0, "model"] == POOL[0][0]


def test_pandas_is_optional(ranking, monkeypatch):
    monkeypatch.setattr("itm.api.model_ranking.find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"to_pandas needs pandas; run pip install pandas, or use to_polars"):
        ranking.to_pandas()


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:  # noqa: ARG002
        self.tags.append(tag)


def test_a_notebook_shows_a_table_with_every_text_escaped(ranking):
    html, parser = ranking._repr_html_(), _Tags()
    parser.feed(html)
    assert "script" not in parser.tags
    assert HOSTILE not in html
    assert parser.tags.count("tr") == 10
    assert "0.934" in html
    assert "out of memory" in html


def test_the_text_is_the_table_of_the_command(ranking):
    text = repr(ranking)
    assert POOL[0][0] in text
    assert "For flowers5, fine-tune" in text
    assert "Failed at extract: swin_large" in text
    assert "\x1b" not in text


def test_a_long_ranking_is_cut_where_it_is_printed(ranking):
    rows = [replace(ranking.best, model=f"m{place}", rank=place, tied_with_first=False) for place in range(1, 41)]
    long = _of_rows(ranking, *rows)
    assert repr(long).endswith("... and 10 more models; to_polars() has all of them")
    assert long._repr_html_().count("<tr") == 31
    assert len(long.to_polars()) == 40


@pytest.mark.parametrize("kind", ["scores", "cost"])
def test_a_figure_can_be_shown_and_saved(kind, ranking, tmp_path):
    figure = ranking.plot(kind)
    assert figure._repr_png_().startswith(b"\x89PNG")
    figure.savefig(tmp_path / "ranking.png")
    assert (tmp_path / "ranking.png").stat().st_size > 10_000


def test_an_unknown_figure_is_named(ranking):
    with pytest.raises(ParamsError, match=r"there is no plot 'costs'; did you mean 'cost'\? Known: scores, cost"):
        ranking.plot("costs")
