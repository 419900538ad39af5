"""What `itm models` prints when something is wrong."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from itm.cli.commands import app

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("own_logger")]


def test_column_is_checked_before_models_are_described(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr("itm.zoo.listing.list_models", fail)
    done = CliRunner().invoke(app, ["models", "resnet18*", "--sort", "gmac"])
    assert done.exit_code == 2
    assert "--sort gmac is not a column; did you mean 'gmacs'" in done.output


def test_failures_are_printed_if_no_model_passes_the_filters(tmp_path: Path) -> None:
    zoo = tmp_path / "zoo.yaml"
    zoo.write_text("models: [{name: test_vit.gone, architecture: test_vit, checkpoint: missing.pth}]")
    done = CliRunner().invoke(app, ["models", "test_vit*", "--zoo", str(zoo), "--max-params", "1"])
    assert done.exit_code == 2
    assert "test_vit.gone: cannot be used:" in done.output
    assert "none passes the filters" in done.output
