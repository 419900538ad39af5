"""The settings of an ablation, the agreement of its orders, and mistakes in its command."""

import json

import polars as pl
import pytest
from typer.testing import CliRunner

from itm.benchmark.ablation import ablate as ablation
from itm.cli.commands import app

SOURCE, SHORT = "synthetic:shapes?images=60", "test_resnet.drawn_short"

pytestmark = pytest.mark.usefixtures("own_logger")


@pytest.mark.parametrize(("here", "tau"), [([0.1, 0.2, 0.3], 1.0), ([0.3, 0.2, 0.1], -1.0), ([0.2, 0.2, 0.2], None)])
def test_equal_values_are_no_order(here, tau):
    known = {"data": "d", "axis": "eta", "options": "{}", "status": "ok"}
    points = [("0.5", True, [0.5, 0.6, 0.7]), ("1", False, here)]
    rows = [
        known | {"model": f"m{number}", "setting": setting, "default": default, "value": value}
        for setting, default, values in points
        for number, value in enumerate(values)
    ]
    row = ablation.agreement(pl.DataFrame(rows, schema=ablation.SCHEMA)).row(1, named=True)
    assert row["tau_w"] == (tau if tau is None else pytest.approx(tau))
    assert row["reason"] == ("all 3 models have the value 0.2 here, which is no order." if tau is None else None)


def test_options_between_the_places_of_an_axis_get_one_of_their_own():
    found = ablation.settings("eta", {"eta": 0.3, "batch_size": 32}, 10)
    assert [(setting.text, setting.default) for setting in found] == [
        ("0", False),
        ("0.1", False),
        ("0.3", True),
        ("0.5", False),
        ("1", False),
    ]
    assert json.loads(found[3].options) == {"batch_size": 32}  # 0.5 is ITM's own eta
    centres = ablation.settings("centres", {"centres": "random", "centre_dimensions": 15}, 10)
    assert [setting.text for setting in centres if setting.default] == ["random 1.5x"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("ablate", SOURCE, SHORT, "--axis", "recursion"), "error: no axis 'recursion'; did you mean 'recursions'? Known: "),
        (("ablate", "foldr:x", SHORT), "error: 'foldr:x': unknown kind of source 'foldr'; did you mean 'folder'?"),
        (("ablate", "folder:empty", SHORT), "is empty; put the images"),
        (("ablate", SOURCE, SHORT, "--device", "cuda:9"), "error: extract.device is 'cuda:9', which cannot be used here"),
    ],
)
def test_a_mistake_is_told_and_nothing_is_written(tmp_path, monkeypatch, zoo_file, words, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    result = CliRunner().invoke(app, [*words, "--zoo", str(zoo_file)], catch_exceptions=False)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stdout == ""
    assert not list(tmp_path.rglob("*.parquet"))
