"""The zoos of the package: each name exists in the pinned timm, and keeps what the zoo promises."""

from pathlib import Path

import pytest
import yaml

from itm.core.sections import ZooParams
from itm.core.types import Failure
from itm.zoo.facts_table import known_model
from itm.zoo.hub import prefetch
from itm.zoo.licences import is_permissive
from itm.zoo.packaged import CURATED, packaged_zoos
from itm.zoo.resolve import resolve, timm_model
from itm.zoo.timm_gate import timm

NAMES = ("edge", "base", "foundation", "all-permissive")

pytestmark = pytest.mark.slow


def test_zoos_of_the_package_have_these_names() -> None:
    assert sorted(packaged_zoos()) == sorted(("tiny", *NAMES))


@pytest.mark.parametrize("name", NAMES)
def test_each_model_exists_in_timm_and_has_a_reason(name: str) -> None:
    content = yaml.safe_load((CURATED / f"{name}.yaml").read_text(encoding="utf-8"))
    assert {"about", "date", "models"} == content.keys()
    names = [entry["architecture"] for entry in content["models"]]
    assert 12 <= len(names) == len({*names}) <= 40
    assert not {*names} - {*timm.list_models(pretrained=True)}
    assert all(len(entry["reason"]) > 10 for entry in content["models"])
    models, failures = resolve(ZooParams(file=Path(name)))
    assert (models, failures) == ([timm_model(one) for one in names], [])


@pytest.mark.parametrize("name", NAMES)
def test_models_span_families_and_ways_of_training(name: str) -> None:
    rows = [known_model(model.name) for model in resolve(ZooParams(file=Path(name)))[0]]
    assert all(rows)
    assert len({row.facts.family for row in rows if row}) >= 5
    assert len({row.facts.pretraining for row in rows if row}) >= 8
    sizes = [row.facts.parameters for row in rows if row]
    assert max(sizes) > 4 * min(sizes)


def test_edge_models_are_small() -> None:
    for model in resolve(ZooParams(file=Path("edge")))[0]:
        row = known_model(model.name)
        assert row
        assert row.facts.parameters <= 13e6
        assert row.facts.gmacs is not None
        assert row.facts.gmacs <= 2


def test_all_permissive_models_have_a_permissive_licence() -> None:
    rows = [known_model(model.name) for model in resolve(ZooParams(file=Path("all-permissive")))[0]]
    assert all(row and is_permissive(row.licence) for row in rows)


def test_models_without_weights_fail_quickly_and_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    models, _ = resolve(ZooParams(file=Path("edge")))
    available, failures = prefetch(models, ZooParams())
    assert not available
    assert len(failures) == len(models)
    assert all(isinstance(one, Failure) and "it cannot be downloaded (HF_HUB_OFFLINE is set)" in one.reason for one in failures)
