"""Factories execute code, so only allowed paths are imported, and no other code runs."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from typer.testing import CliRunner

from itm.cli.commands import app
from itm.core.sections import ZooParams
from itm.core.types import Failure
from itm.zoo.listing import Description, list_models
from itm.zoo.resolve import resolve

WriteZoo = Callable[..., Path]
GOOD = {"name": "good.one", "architecture": "test_resnet", "checkpoint": "w.safetensors"}


@pytest.fixture
def team(tmp_path: Path, factories: Path) -> Path:
    """Return a folder with factories that create a file when executed, next to a folder with a similar name."""
    for name in ("team", "team_of_others"):
        (tmp_path / name).mkdir()
        code = f"from pathlib import Path\nPath({str(tmp_path / 'trace')!r}).touch()\n{factories.read_text()}"
        (tmp_path / name / "models.py").write_text(code)
    return tmp_path / "team"


def _zoo(write_zoo: WriteZoo, factory: str) -> Path:
    return write_zoo({"name": "odd.one", "factory": f"{factory}:small", "checkpoint": "w.pth", "input_size": 32}, GOOD)


@pytest.mark.parametrize("allowed", ["team", "team/models.py", "team_of_others/../team", "linked", "."])
@pytest.mark.parametrize("factory", ["team/models.py", "team/../team/models.py", "linked/models.py"])
def test_factory_in_allowed_path_is_used(write_zoo: WriteZoo, team: Path, factory: str, allowed: str) -> None:
    (team.parent / "linked").symlink_to(team)
    models, failures = resolve(ZooParams(file=_zoo(write_zoo, factory), code=(team.parent / allowed,)))
    assert failures == []
    assert [model.factory for model in models] == [f"{team / 'models.py'}:small", None]


@pytest.mark.parametrize("allowed", [None, "team_of_others", "tea", "team/models.pyc", "team/zoo", "inside"])
@pytest.mark.parametrize("factory", ["team/models.py", "team_of_others/../team/models.py", "inside/link.py"])
def test_factory_outside_allowed_paths_is_rejected(write_zoo: WriteZoo, team: Path, factory: str, allowed: str | None) -> None:
    (team.parent / "inside").mkdir()
    (team.parent / "inside" / "link.py").symlink_to(team / "models.py")
    code = () if allowed is None else (team.parent / allowed,)
    (model,), (failure,) = resolve(ZooParams(file=_zoo(write_zoo, factory), code=code))
    assert model.name == "good.one"
    assert failure.model == "odd.one"
    for part in (str(team / "models.py"), "zoo.code in params", f"--code {team / 'models.py'}"):
        assert part in failure.reason
    assert not (team.parent / "trace").exists()


def test_listing_executes_only_allowed_factories(write_zoo: WriteZoo, team: Path) -> None:
    zoo = _zoo(write_zoo, "team/models.py")
    assert [type(one) for one in list_models("odd.*", zoo)] == [Failure]
    assert not (team.parent / "trace").exists()
    assert [type(one) for one in list_models("odd.*", zoo, [team])] == [Description]
    assert (team.parent / "trace").exists()


@pytest.mark.slow
@pytest.mark.usefixtures("own_logger")
def test_commands_allow_code_from_params_and_option(write_zoo: WriteZoo, team: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zoo = _zoo(write_zoo, "team/models.py")
    monkeypatch.chdir(team.parent)
    weights = {"stem.weight": torch.rand(8, 3, 3, 3), "stem.bias": torch.rand(8)}
    torch.save({**weights, "head.weight": torch.rand(3, 8), "head.bias": torch.rand(3)}, "w.pth")
    other = os.fspath(team.parent / "team_of_others")

    def allow(folder: str) -> None:
        values = {"data": {"sets": ["synthetic:shapes?images=40"]}, "zoo": {"file": str(zoo), "code": [folder]}}
        Path("params.yaml").write_text(yaml.safe_dump(values | {"track": {"uri": None}}))

    allow(other)
    for command in (["extract", "-m", "odd.one"], ["models", "odd.*"], ["doctor"]):
        result = CliRunner().invoke(app, command)
        assert not Path("trace").exists(), command
        assert result.exit_code == (0 if command[0] == "models" else 1), result.output
    assert CliRunner().invoke(app, ["extract", "-m", "odd.one", "--code", "team"]).exit_code == 0
    assert Path("trace").exists()
    allow("team")
    for command in (["extract", "-m", "odd.one", "--code", other], ["models", "odd.*"]):
        result = CliRunner().invoke(app, command)
        assert (result.exit_code, "not allowed" in result.output) == (0, False), result.output
