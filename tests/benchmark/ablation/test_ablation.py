"""One option of ITM varied at a time: what is computed, what is found, what is told, and what is drawn."""

import json
import logging
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import NamedTuple

import polars as pl
import pytest
import yaml
from scipy.stats import weightedtau
from typer.testing import CliRunner

from itm.benchmark.ablation import ablate as ablation
from itm.benchmark.ablation.figure import ablation_figure
from itm.cli.commands import app
from itm.core.params import find_params, with_overrides
from itm.report.figures import as_svg
from itm.store.files import read_table
from itm.store.layout import Store

ROOT = Path(__file__).resolve().parents[3]
SOURCE, NAME = "synthetic:shapes?images=60", "shapes-images60"
LONG, SHORT, WRONG = "test_resnet.drawn_long", "test_resnet.drawn_short", "test_resnett"
OPTIONS = {"steps": 20, "evaluate_every": 10, "schedule_steps": 600}  # the last too few for one setting of the axis `steps`
SETTINGS = {
    "inner_loss": ["mse", "cross_entropy", "mae"],
    "centres": [
        f"{kind}{offset}" for kind in ("one_hot", "random", "random 4x", "principal_axes") for offset in ("", " + offset")
    ],
    "batch_size": ["64", "128", "256", "512"],
    "steps": ["20", "100", "250", "500", "1000"],
    "recursions": ["1", "3", "10", "100"],
    "eta": ["0", "0.1", "0.5", "1"],
}
DEFAULT = {"inner_loss": "mse", "centres": "one_hot", "batch_size": "256", "steps": "20", "recursions": "1", "eta": "0.5"}
DISTINCT = sum(map(len, SETTINGS.values())) - len(SETTINGS) + 1


class Done(NamedTuple):
    """A finished `itm ablate`, and where it left its results."""

    folder: Path
    results: Path
    said: subprocess.CompletedProcess[str]

    @property
    def table(self) -> pl.DataFrame:
        """Return the long table."""
        return read_table(self.results / "ablation.parquet")


def _ablate(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [Path(sys.executable).parent / "itm", "ablate", SOURCE, "test_resnet.*", WRONG]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


pytestmark = [pytest.mark.usefixtures("own_logger"), pytest.mark.integration]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    """Ablate two models and one that there is not, from the command line, with a setting that is undefined."""
    folder = tmp_path_factory.mktemp("ablation")
    params = {"zoo": {"file": str(ROOT / "data/zoo/zoo.yaml")}, "score": {"options": {"itm": OPTIONS}}, "store": "kept"}
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    said = _ablate(folder)
    (results,) = (folder / "kept" / "rankings").glob("*/ablation")
    return Done(folder, results, said)


def test_every_setting_of_every_model_is_a_row(done):
    for model in (LONG, SHORT, WRONG):
        rows = done.table.filter(model=model)
        assert rows.group_by("axis", maintain_order=True).agg("setting").rows() == list(SETTINGS.items())
    scored = done.table.filter(status="ok")
    assert set(scored["model"]) == {LONG, SHORT}
    assert set(scored["data"]) == {NAME}
    assert (scored["low"] <= scored["value"]).all()
    assert (scored["value"] <= scored["high"]).all()
    assert (scored["standard_error"] > 0).any()
    changed = {row["setting"]: json.loads(row["options"]) for row in done.table.filter(model=LONG).iter_rows(named=True)}
    assert changed["0.5"] == OPTIONS
    assert changed["0.1"] == OPTIONS | {"eta": 0.1}
    assert changed["random 4x + offset"] == OPTIONS | {"centres": "random", "centre_dimensions": 40, "centre_offset": True}
    assert changed["250"] == OPTIONS | {"steps": 250, "evaluate_every": 125}


def test_the_default_is_one_point_that_all_axes_share(done):
    marked = done.table.filter("default", model=LONG)
    assert dict(marked.select("axis", "setting").rows()) == DEFAULT
    assert marked.select("options", "value", "low", "high", "standard_error", "control", "seconds").n_unique() == 1
    files = list((done.folder / "kept" / "cache" / "scores").rglob("itm-*.json"))
    assert len(files) == 2 * (DISTINCT - 1)  # one is undefined


def test_without_movement_a_setting_is_its_own_control(done):
    eta = done.table.filter(axis="eta", model=LONG)
    assert set(eta["control"]) == {eta.filter(setting="0")["value"][0]}


def test_a_setting_that_is_undefined_is_a_row_with_its_reason(done):
    failed = done.table.filter(pl.col("model") != WRONG, status="failed")
    assert failed.select("model", "axis", "setting").rows() == [(LONG, "steps", "1000"), (SHORT, "steps", "1000")]
    assert all(
        "evaluate_every <= steps <= schedule_steps is needed, not 500, 1000, 600" in reason for reason in failed["reason"]
    )
    assert failed["value"].null_count() == len(failed)
    assert f"Failed at steps 1000: {LONG}, {SHORT}\n" in done.said.stdout
    assert done.said.returncode == 1


def test_a_model_that_there_is_not_stops_no_other(done):
    rows = done.table.filter(model=WRONG)
    assert set(rows["status"]) == {"failed"}
    assert all("did you mean 'test_resnet'" in reason for reason in rows["reason"])
    assert f"Failed: {WRONG}\n" in done.said.stdout


def test_a_second_call_computes_nothing_and_writes_the_same(done):
    before = {path: path.read_bytes() for path in done.results.iterdir()}
    caches = [done.folder / "kept" / "cache" / name for name in ("features", "scores")]
    kept = {path: path.stat().st_mtime_ns for cache in caches for path in cache.rglob("*.*")}
    again = _ablate(done.folder)
    assert again.stdout == done.said.stdout
    found = f"{DISTINCT} settings, 0 computed, {DISTINCT - 1} cached, 1 undefined"
    assert re.findall(r"\d+ settings, .*", again.stderr) == [found] * 2
    assert {path: path.read_bytes() for path in done.results.iterdir()} == before
    assert {path: path.stat().st_mtime_ns for cache in caches for path in cache.rglob("*.*")} == kept


def test_what_a_killed_run_left_out_is_all_that_is_computed(done, tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.INFO, logger="itm")
    shutil.copytree(done.folder, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    params = with_overrides(find_params(None), data={"sets": (SOURCE,)}, zoo={"models": (SHORT,)})
    min(Path("kept/cache/scores", NAME, SHORT).iterdir()).unlink()
    table = ablation.ablate(params, Store(Path("kept")))
    assert f"{DISTINCT} settings, 1 computed, {DISTINCT - 2} cached, 1 undefined" in caplog.text
    same = done.table.filter(model=SHORT)
    assert table.drop("seconds").equals(same.drop("seconds"))


def test_values_are_those_of_a_ranking(done, monkeypatch):
    monkeypatch.chdir(done.folder)
    result = CliRunner().invoke(app, ["score", SOURCE, "--score", "itm", "-m", LONG], catch_exceptions=False)
    value = done.table.filter("default", model=LONG)["value"][0]
    assert f"{LONG} on {NAME}: itm {value:.4f} (cached)" in result.stdout


def test_orders_are_compared_with_the_default(done):
    orders = read_table(done.results / "agreement.parquet")
    assert orders["setting"].to_list() == [setting for settings in SETTINGS.values() for setting in settings]
    for row in orders.iter_rows(named=True):
        both = [
            done.table.filter(pl.col("model") != WRONG, axis=row["axis"], setting=setting)["value"].to_list()
            for setting in (row["setting"], DEFAULT[row["axis"]])
        ]
        if row["setting"] == "1000":
            assert (row["models"], row["tau_w"]) == (0, None)
            assert "an order needs 2" in row["reason"]
        else:
            assert (row["models"], row["reason"]) == (2, None)
            assert row["tau_w"] == weightedtau(*both).statistic


def test_pictures_name_every_axis_setting_and_model(done):
    words = [element.text or "" for element in ET.parse(done.results / "ablation.svg").iter("{http://www.w3.org/2000/svg}text")]
    assert set(SETTINGS) <= set(words)
    assert set(SETTINGS["steps"] + SETTINGS["eta"] + SETTINGS["inner_loss"]) <= set(words)
    assert {LONG, SHORT, f"{WRONG}: no score", "2 undefined"} <= set(words)
    assert (done.results / "ablation.png").read_bytes().startswith(b"\x89PNG")


def test_a_picture_shows_the_values_and_marks_the_default(done):
    table = done.table.filter(model=LONG)
    for axes in ablation_figure(table, ablation.agreement(table)).axes:
        part = table.filter(axis=axes.get_title(loc="left"))
        x, y = axes.lines[-1].get_data()
        assert list(x) == list(range(len(part)))
        assert [value if value == value else None for value in y] == part["value"].to_list()
        bold = [label.get_text() for label in axes.get_xticklabels() if label.get_fontweight() == "bold"]
        assert bold == [DEFAULT[part["axis"][0]]]


def test_many_models_and_none_that_works_can_be_drawn(done):
    one, failed = done.table.filter(model=LONG), done.table.filter(model=WRONG)
    many = pl.concat([one.with_columns(pl.lit(f"model_{number}").alias("model")) for number in range(20)])
    (legend,) = ablation_figure(many, ablation.agreement(many)).legends
    looks = {(line.get_color(), line.get_marker(), line.get_linestyle()) for line in legend.get_lines()}
    assert len(looks) == 20
    assert "no score" in as_svg(ablation_figure(failed, ablation.agreement(failed)))


def test_one_axis_of_one_model(done, monkeypatch):
    monkeypatch.chdir(done.folder)
    result = CliRunner().invoke(app, ["ablate", SOURCE, SHORT, "--axis", "eta", "--axis", "recursions"], catch_exceptions=False)
    assert result.exit_code == 0
    row = done.table.filter("default", axis="eta", model=SHORT).row(0, named=True)
    line = next(line for line in result.stdout.splitlines() if "0.5 *" in line)
    assert f"{row['value']:.3f} [{row['low']:.3f}, {row['high']:.3f}]" in line
    assert f"{row['control']:.3f}" in line
    (path,) = re.findall(r"\S+ablation\.parquet", result.stdout)
    assert set(read_table(Path(path))["axis"]) == {"eta", "recursions"}
