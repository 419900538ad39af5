"""Models that exceed a limit are left out before any work, and listed with the reason."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console

from itm.core.errors import ParamsError
from itm.core.params import Params
from itm.core.types import Exclusion, ModelRef
from itm.core.yaml_records import parse
from itm.features.speed import Speedometer
from itm.report.page import render
from itm.report.table import print_ranking
from itm.run import pipeline
from itm.run.check import check
from itm.run.exclude import exclude
from itm.run.trials import is_trial, trial_name
from itm.store.files import read_json
from itm.store.layout import Store
from itm.store.ranking_file import VERSION, read_ranking
from itm.zoo.resolve import resolve

pytestmark = pytest.mark.slow

SMALL, LARGE = "test_resnet.drawn_short", "mini_mobilenetv3_small_050.supervised"
PUBLISHED = "resnet50.a1_in1k"  # its weights are not here


def params(models: list[str], file: Path | None = None, extract: Any = None, **filters: object) -> Params:
    values: dict[str, object] = {
        "data": {"sets": ["synthetic:shapes?images=60"]},
        "zoo": {"models": models, "file": file},
        "score": {"names": ["knn"], "rank_by": "knn"},
        "runner": {"kind": "inline"},
        "track": {"uri": None},
        "filters": filters,
        "extract": extract or {},
    }
    return parse(values, Params, "test")


def split(chosen: Params, store: Store, offline: bool = False) -> tuple[list[str], list[Exclusion]]:
    found, failures = resolve(chosen.zoo)
    assert not failures
    kept, excluded = exclude(found, chosen, store, offline)
    return [model.name for model in kept], excluded


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the list of the models whose speed is measured from now on."""
    names: list[str] = []
    measure: Callable[..., Any] = Speedometer.measure

    def noted(self: Speedometer, model: ModelRef) -> Any:
        names.append(model.name)
        return measure(self, model)

    monkeypatch.setattr(Speedometer, "measure", noted)
    return names


def test_excluded_models_are_neither_downloaded_nor_computed_and_are_listed(store: Store) -> None:
    chosen = params([SMALL, LARGE, PUBLISHED], max_params="0.5M")
    ranking = pipeline.run(chosen, store)
    assert [row.model for row in ranking.data_sets[0].rows] == [SMALL]
    assert [(one.model, one.limit) for one in ranking.excluded] == [(LARGE, "max_params"), (PUBLISHED, "max_params")]
    assert ranking.excluded[1].reason == "25.6M parameters are more than 0.5M"
    assert read_ranking(store).excluded == ranking.excluded
    assert ranking.provenance["params"]["filters"] == {"max_params": 500_000}
    assert not [path for path in (store.root / "cache" / "features").rglob("*") if LARGE in path.name]

    console = Console(file=io.StringIO(), width=200)
    print_ranking(ranking, console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert f"2 models excluded before the run: 2 by number of parameters ({LARGE} and {PUBLISHED})." in text
    page = render(ranking)
    assert "2 by number of parameters" in page
    assert "25.6M parameters are more than 0.5M" in page


def test_ranking_without_exclusions_is_written_as_before_there_were_filters(store: Store) -> None:
    ranking = pipeline.run(params([SMALL]), store)
    values = read_json(store.ranking)
    assert (values["version"], "excluded" in values, "filters" in values["provenance"]["params"]) == (VERSION, False, False)
    assert "Excluded models" not in render(ranking)
    assert read_ranking(store).excluded == ()


def test_cost_excludes_models(store: Store) -> None:
    kept, excluded = split(params([SMALL, PUBLISHED], max_gmacs=1), store)
    assert kept == [SMALL]
    assert excluded == [Exclusion(PUBLISHED, "4.09 GMACs are more than 1", "max_gmacs")]


def test_speed_is_measured_once_and_only_for_models_that_keep_the_other_limits(store: Store, measured: list[str]) -> None:
    chosen = params([SMALL, LARGE], max_params="0.5M", max_latency="10s", max_memory="100GB")
    assert split(chosen, store)[0] == [SMALL]
    assert measured == [SMALL]
    assert split(chosen, store)[0] == [SMALL]
    assert measured == [SMALL]
    with pytest.raises(ParamsError, match=r"max_latency \(--max-latency, 0.001\) excludes 2 of 2, such as .* ms per image on"):
        split(params([SMALL, LARGE], max_latency="1us"), store)
    with pytest.raises(ParamsError, match=r"fine-tuning takes .* MB, more than 0.001 MB"):
        split(params([SMALL], max_memory=1000), store)


def test_unmeasured_speed_excludes_nothing_offline_and_everything_where_nothing_may_be_computed(
    store: Store, measured: list[str]
) -> None:
    chosen = params([SMALL], max_latency="10s")
    assert split(chosen, store, offline=True) == ([SMALL], [])
    with pytest.raises(ParamsError, match="its latency on this device is unknown"):
        split(params([SMALL], extract={"resume": "only-cache"}, max_latency="10s"), store)
    assert not measured


def test_licence_of_a_zoo_file_or_of_timm_decides_and_an_unknown_one_is_excluded(store: Store, tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").touch()
    own = {"architecture": "test_resnet", "checkpoint": "a.safetensors"}
    zoo = tmp_path / "zoo.yaml"
    entries = [own | {"name": "a", "licence": "MIT"}, own | {"name": "b"}, own | {"name": "c", "licence": "vendor-1"}]
    zoo.write_text(yaml.safe_dump({"models": entries}))
    models = ["a", "b", "c", PUBLISHED]
    kept, excluded = split(params(models, zoo, licences=["permissive"]), store)
    assert kept == ["a", PUBLISHED]
    assert [(one.model, one.reason) for one in excluded] == [
        ("b", "the licence of its weights is unknown"),
        ("c", "the licence of its weights is vendor-1"),
    ]
    assert split(params(models, zoo, licences=["vendor-1", "unknown"]), store)[0] == ["b", "c"]
    check(params(models, zoo, licences=["vendor-1"]))
    with pytest.raises(ParamsError, match=r"--licence vendor-2 is not known; did you mean 'vendor-1'"):
        check(params(models, zoo, licences=["vendor-2"]))


def test_error_names_the_limit_that_excludes_most(store: Store) -> None:
    with pytest.raises(ParamsError) as error:
        split(params([SMALL, LARGE, PUBLISHED], max_params="0.5M", licences=["permissive"]), store)
    assert str(error.value) == (
        f"no model passes the filters: filters.licences (--licence, permissive) excludes 2 of 3, such as {SMALL}: "
        "the licence of its weights is unknown. Others: max_params 1. Relax it, or name other models."
    )


def test_filters_make_a_trial_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    plain, limited = params([SMALL]), params([SMALL], max_gmacs=1)
    assert is_trial(None, plain, limited)
    assert trial_name(plain, limited) != trial_name(plain, params([SMALL], max_gmacs=2))
    assert not is_trial(None, limited, limited)
