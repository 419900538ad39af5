"""A score of another package ranks models like one of this package."""

from pathlib import Path

import polars as pl
import pytest

from tests.plugins.conftest import Itm
from tests.plugins.package import install

pytestmark = pytest.mark.integration

SCORE = """
from pydantic import Field

from itm.scores import Options, Sample, ScoreInfo, StatisticScore, register


class WidthOptions(Options):
    factor: float = Field(1.0, gt=0)


@register
class Width(StatisticScore[WidthOptions]):
    options_type = WidthOptions
    info = ScoreInfo(
        name="width",
        summary="Width of the embeddings.",
        meaning="How many numbers an embedding has; of no use for ranking models.",
        paper="none",
        cost="none",
    )

    def value(self, sample: Sample) -> float:
        return self.options.factor * sample.features.shape[1]
"""


@pytest.mark.servers
def test_a_score_of_another_package_ranks(itm: Itm, tmp_path: Path, zoo_file: Path) -> None:
    install(tmp_path / "site", "width-score", {"width_score": SCORE}, {"itm.scores": {"width": "width_score:Width"}})
    (tmp_path / "params.yaml").write_text("score: {options: {width: {factor: 2}}}\n", encoding="utf-8")
    models = ("--model", "test_resnet.drawn_short", "--model", "test_vit.untrained")
    done = itm("rank", "synthetic:shapes?images=60", "--zoo", str(zoo_file), *models, "--score", "width", "--runner", "inline")
    assert done.returncode == 0, done.stderr
    assert "width" in done.stdout
    (table,) = tmp_path.rglob("scores.parquet")
    values = pl.read_parquet(table).filter(pl.col("fold").is_null())
    assert values["score"].unique().to_list() == ["width"]
    assert (values["value"] > 16).all()
    assert "Width of the embeddings." in itm("scores", "width").stdout


def test_a_plug_in_that_cannot_be_loaded_is_named_and_left_out(itm: Itm, tmp_path: Path) -> None:
    modules = {"broken_score": "import no_such_module_anywhere\n", "second_logme": SCORE.replace('"width"', '"logme"')}
    entry_points = {"itm.scores": {"broken": "broken_score", "second": "second_logme:Width"}}
    install(tmp_path / "site", "broken-scores", modules, entry_points)
    done = itm("scores", "lo*")
    assert done.returncode == 0, done.stderr
    assert "logme" in done.stdout
    said = " ".join((done.stdout + done.stderr).split())
    assert "scores of the plug-in 'broken' (broken_score) are not available: ModuleNotFoundError" in said
    assert (
        "scores of the plug-in 'second' (second_logme:Width) are not available: ValueError: two scores are named 'logme'"
        in said
    )
