"""A race on images: models that are clearly behind on some of the images are dropped and listed, and the others are ranked."""

import io
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from rich.console import Console

from itm.core.params import Params
from itm.core.rankings import Ranking
from itm.core.yaml_records import parse
from itm.features import extract
from itm.refresh.stale import find_stale
from itm.report.page import render
from itm.report.table import print_ranking
from itm.run import pipeline
from itm.run.executors import Executor, Inline, Processes
from itm.run.stages import Job, Stage
from itm.run.trials import is_trial
from itm.store.feature_file import read_description, read_embeddings
from itm.store.layout import Store
from itm.store.ranking_file import read_ranking

pytestmark = pytest.mark.slow

GOOD = ("mini_resnet18.supervised", "mini_convnext_atto.supervised")
POOR = ("test_vit.untrained", "test_convnext.noise")


def parameters(zoo: Path, folder: Path, models: Sequence[str] = (*GOOD, *POOR), **sections: Any) -> Params:
    values: dict[str, Any] = {
        "data": {"sets": ["digits"], "max_images": 700},
        "zoo": {"file": zoo, "models": list(models)},
        "score": {"names": ["knn"]},
        "filters": {"race": True},
        "runner": {"kind": "inline"},
        "track": {"uri": None},
        "store": folder,
    }
    return parse(values | sections, Params, "test")


def ranked(params: Params, executor: Executor | None = None) -> Ranking:
    return pipeline.run(params, Store(params.store), executor)


@pytest.fixture(scope="module")
def raced(tmp_path_factory: pytest.TempPathFactory) -> tuple[Params, Ranking]:
    """Return the parameters of a race that dropped models, and its ranking."""
    zoo = Path(__file__).resolve().parents[2] / "data" / "zoo" / "zoo.yaml"
    params = parameters(zoo, tmp_path_factory.mktemp("raced"))
    return params, ranked(params)


def dropped(ranking: Ranking) -> list[str]:
    return [one.model for one in ranking.excluded]


def estimates(ranking: Ranking) -> dict[str, Any]:
    return {row.model: row.scores for row in ranking.data_sets[0].rows}


def rows_by_model(store: Path) -> dict[str, set[int]]:
    """Return the numbers of rows of all feature files of each model."""
    found: dict[str, set[int]] = {}
    for path in (store / "cache" / "features").rglob("*.parquet"):
        features = read_description(path)[0]
        found.setdefault(features.model, set()).add(features.rows)
    return found


def test_models_that_are_clearly_behind_are_dropped_and_never_see_all_images(raced: tuple[Params, Ranking]) -> None:
    params, ranking = raced
    (data,) = ranking.data_sets
    assert {row.model for row in data.rows}.isdisjoint(dropped(ranking))
    assert {row.model for row in data.rows} | {*dropped(ranking)} == {*GOOD, *POOR}
    assert data.rows[0].model in GOOD
    rows = rows_by_model(params.store)
    assert dropped(ranking)
    assert all(rows[model] == {256} for model in dropped(ranking))
    assert all(rows[row.model] == {256, 560} for row in data.rows)


def test_what_was_dropped_is_listed_with_its_reason(raced: tuple[Params, Ranking]) -> None:
    params, ranking = raced
    one = ranking.excluded[0]
    assert (one.limit, one.data) == ("race", "digits")
    assert one.reason.startswith("dropped after 256 of 560 images of digits: knn 0.")
    assert one.reason.endswith(GOOD)
    assert read_ranking(Store(params.store)).excluded == ranking.excluded
    console = Console(file=io.StringIO(), width=300)
    print_ranking(ranking, console)
    assert f"dropped by the race on images: {len(ranking.excluded)} on digits (" in console.file.getvalue()  # type: ignore[attr-defined]
    page = render(ranking)
    assert 'id="dropped"' in page
    assert 'id="excluded"' not in page


def test_the_others_are_ranked_as_without_a_race(raced: tuple[Params, Ranking], zoo_file: Path) -> None:
    params, ranking = raced
    kept = [row.model for row in ranking.data_sets[0].rows]
    without = ranked(parameters(zoo_file, params.store, kept, filters={}))
    assert without.data_sets == ranking.data_sets
    assert without.excluded == ()


def test_embeddings_of_the_subset_are_those_of_a_run_without_a_race(
    raced: tuple[Params, Ranking], zoo_file: Path, tmp_path: Path
) -> None:
    params, ranking = raced
    first = ranking.data_sets[0].rows[0].model
    ranked(parameters(zoo_file, tmp_path, [first], filters={}))
    (alone,) = (tmp_path / "cache" / "features").rglob(f"{first}*.parquet")
    (own,) = (params.store / "cache" / "features").rglob(alone.name)
    for (values, targets, ids), (other, other_targets, other_ids) in [(read_embeddings(alone), read_embeddings(own))]:
        assert ids == other_ids
        assert np.array_equal(targets, other_targets)
        assert np.allclose(values, other, rtol=1e-4, atol=1e-5)  # batches have other sizes


def test_a_repeated_race_computes_nothing(raced: tuple[Params, Ranking], caplog: pytest.LogCaptureFixture) -> None:
    params, ranking = raced
    caplog.set_level(logging.INFO)
    assert ranked(params).data_sets == ranking.data_sets
    assert "extracted 0 pairs" in caplog.text
    assert "digits: 256 images, 2 models left" in caplog.text


def test_the_status_counts_no_dropped_model_as_stale(raced: tuple[Params, Ranking]) -> None:
    params, ranking = raced
    ranked(params)  # the last ranking of this store
    found = find_stale(params, Store(params.store), None)
    assert (found.count, found.pairs) == (0, len(ranking.data_sets[0].rows))


def test_stored_embeddings_of_all_images_serve_a_race(
    raced: tuple[Params, Ranking], zoo_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ranked(parameters(zoo_file, tmp_path, filters={}))
    monkeypatch.setattr(extract, "forward", None)  # no image may go through a model
    ranking = ranked(parameters(zoo_file, tmp_path))
    assert dropped(ranking) == dropped(raced[1])
    assert estimates(ranking).keys() == estimates(raced[1]).keys()


class Interrupted:
    """Runs jobs inline, and presses Ctrl-C before the job with this number."""

    width = 1

    def __init__(self, number: int) -> None:
        self.jobs_left = number

    @contextmanager
    def start(self, pairs: int) -> Iterator["Interrupted"]:
        with Inline().start(pairs):
            yield self

    def submit(self, stage: Stage, jobs: Sequence[Job], params: Params, store: Store) -> Any:
        if not self.jobs_left:
            raise KeyboardInterrupt
        self.jobs_left -= 1
        return Inline().submit(stage, jobs, params, store)


@pytest.mark.parametrize("number", [3, 9])
def test_an_interrupted_race_resumes(raced: tuple[Params, Ranking], zoo_file: Path, tmp_path: Path, number: int) -> None:
    params = parameters(zoo_file, tmp_path)
    with pytest.raises(KeyboardInterrupt):
        ranked(params, Interrupted(number))
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache" / "features").rglob("*.parquet")}
    assert before
    ranking = ranked(params)
    assert all(path.stat().st_mtime_ns == time for path, time in before.items())
    assert ranking.excluded == raced[1].excluded
    assert estimates(ranking) == estimates(raced[1])


def test_processes_drop_the_same_models(raced: tuple[Params, Ranking], zoo_file: Path, tmp_path: Path) -> None:
    ranking = ranked(parameters(zoo_file, tmp_path, runner={"kind": "processes", "workers": 2}), Processes(2))
    assert dropped(ranking) == dropped(raced[1])
    assert estimates(ranking).keys() == estimates(raced[1]).keys()


def test_a_model_that_fails_is_not_dropped_and_stops_nothing(zoo_file: Path, tmp_path: Path) -> None:
    entries = yaml.safe_load(zoo_file.read_text(encoding="utf-8"))["models"]
    chosen = [
        entry | {"checkpoint": str(zoo_file.parent / entry["checkpoint"])} for entry in entries if entry["name"] in GOOD + POOR
    ]
    (tmp_path / "broken.safetensors").write_bytes(b"broken")
    broken = chosen[0] | {"name": "broken", "checkpoint": str(tmp_path / "broken.safetensors")}
    zoo = tmp_path / "zoo.yaml"
    zoo.write_text(yaml.safe_dump({"models": [*chosen, broken]}), encoding="utf-8")
    ranking = ranked(parameters(zoo, tmp_path / "store", ["broken", "no_such_model", *GOOD, *POOR]))
    failed = {row.model for row in ranking.data_sets[0].rows if row.status == "failed"}
    assert failed == {"broken", "no_such_model"}
    assert ranking.data_sets[0].rows[0].model in GOOD
    assert dropped(ranking)


@pytest.mark.parametrize(
    ("sections", "reason"),
    [
        ({"data": {"sets": ["digits"], "max_images": 300}}, "only 240 images"),
        ({"score": {"names": ["logme"]}}, "logme is not measured on held-out images"),
    ],
)
def test_there_is_no_race_where_it_cannot_be_run(
    zoo_file: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, sections: dict[str, Any], reason: str
) -> None:
    caplog.set_level(logging.INFO)
    models = (GOOD[0], POOR[0])
    ranking = ranked(parameters(zoo_file, tmp_path, models, **sections))
    assert f"digits: no race, since {reason}" in caplog.text.replace("there are ", "")
    assert ranking.data_sets == ranked(parameters(zoo_file, tmp_path, models, filters={}, **sections)).data_sets


def test_limits_leave_a_part_for_the_ranking(zoo_file: Path, tmp_path: Path) -> None:
    ranking = ranked(parameters(zoo_file, tmp_path, limits={"device_seconds": 1e-6}))
    assert dropped(ranking) == []
    assert {failure.step for row in ranking.data_sets[0].rows for failure in row.failures} == {"limits"}


def test_a_race_is_a_trial(zoo_file: Path, tmp_path: Path) -> None:
    with_race, without = parameters(zoo_file, tmp_path), parameters(zoo_file, tmp_path, filters={})
    assert is_trial(None, without, with_race)
    assert with_race.filters.as_set() == {"race": True}
    assert without.filters.as_set() == {}
