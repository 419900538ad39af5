"""Scores of a pair are kept under a key of what could change them, and one that is undefined does not take the others along."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from itm.core.keys import content_key
from itm.core.sections import ScoreParams
from itm.core.types import Facts, Failure, Features, Score
from itm.ranking import scoring
from itm.ranking.batch import splitting
from itm.ranking.scoring import score, score_together
from itm.scores import Splitting, evaluate, get
from itm.scores import registry as _registry
from itm.store.feature_file import read_embeddings, write_features
from itm.store.layout import Store

NAMES = ("knn", "logme")
Scored = tuple[tuple[Score, ...], tuple[Failure, ...]]


@pytest.fixture
def clusters(store: Store) -> Callable[[int], Features]:
    """Return a function that writes features of three loose clusters and gives their record."""

    def write(rows: int = 90) -> Features:
        generator = np.random.default_rng(0)
        labels = np.arange(rows) % 3
        embeddings = generator.normal(size=(rows, 8)) + 0.6 * np.eye(8)[labels]
        path, facts = store.features("petals", "mine", "k" * 64), Facts(1, 0.1, 8, 48, "", "")
        features = Features(path, "k" * 64, "mine", "w" * 64, "petals", "d" * 64, rows, facts, 10.0, cached=False)
        ids = [f"{number:04d}" for number in range(rows)]
        write_features(features, ids, labels, ["train"] * rows, {"embedding": embeddings}, {})
        return features

    return write


@pytest.fixture
def run(store: Store, clusters: Callable[[int], Features]) -> Callable[..., Scored]:
    """Score the clusters with some parameters."""
    features = clusters(90)

    def call(
        names: tuple[str, ...] = NAMES, resume: Any = "only-missing", key: str = "k" * 64, device: str = "cpu", **params: Any
    ) -> Scored:
        chosen = ScoreParams.model_validate({"names": names, "rank_by": names[0], **params})
        return score(replace(features, key=key), chosen, store, resume, device)

    return call


def test_a_pair_has_every_score_with_its_draws(run):
    """Each score asked for has a value, a draw a split, and the identity of weights and data."""
    scores, failures = run(folds=4)
    assert failures == ()
    assert [value.score for value in scores] == list(NAMES)
    for value in scores:
        assert len(value.draws) == 4
        assert (value.data, value.data_hash, value.model, value.weights) == ("petals", "d" * 64, "mine", "w" * 64)
        assert not value.cached
    assert 1 / 3 < scores[0].value <= 1


@pytest.mark.parametrize(
    ("params", "splits"),
    [
        ({}, Splitting()),
        ({"folds": 3, "seeds": 2, "seed": 8}, Splitting("cross_fitted", 3, 2, 8)),
        ({"splitting": "paper", "folds": 4, "seeds": 3}, Splitting("paper", 4, 3)),
    ],
)
def test_the_parameters_say_how_rows_are_split(run, clusters, params, splits):
    """Value, draws and details are those of the contract on the same splits, to the digits that are kept."""
    assert splitting(ScoreParams(**params)) == splits
    embeddings, labels, ids = read_embeddings(clusters(90).path)
    for value in run(**params)[0]:
        expected = evaluate(value.score, embeddings, labels, ids=ids, splitting=splits)
        assert value.value == pytest.approx(expected.value, rel=1e-9)
        assert value.draws == pytest.approx(expected.draws, rel=1e-9)
        assert value.details == pytest.approx(expected.details, rel=1e-9)


def test_models_scored_together_score_as_alone(clusters, store):
    """Models in one task have the scores they have alone, one whose file is damaged fails alone, and all are then stored."""
    whole, damaged = clusters(90), clusters(60)
    models = [replace(whole, model="first"), replace(damaged, model="broken", key="b" * 64), replace(whole, model="second")]
    moved = damaged.path.with_name("broken.parquet")
    moved.write_bytes(damaged.path.read_bytes()[:-20])
    whole = clusters(90)
    models[1] = replace(models[1], path=moved)
    params = ScoreParams(names=("itm", "knn"), options={"itm": {"steps": 100}})
    together = score_together(models, params, store)
    assert [len(failures) for _, failures in together] == [0, 2, 0]
    alone = [score(features, params, store, resume="always") for features in models]
    for (scores, _), (expected, _) in zip(together, alone, strict=True):
        assert [(one.model, one.value, one.draws) for one in scores] == [(one.model, one.value, one.draws) for one in expected]
    assert all(one.cached for scores, _ in score_together(models, params, store) for one in scores)


def test_details_are_kept_with_the_score(run):
    """ITM has its control and what a guess would reach, a score of all rows has no details, and both are found again."""
    names = ("itm", "logme")
    options = {"itm": {"steps": 100, "batch_size": 32}}
    scores, _ = run(names=names, options=options)
    assert set(scores[0].details) == {"accuracy", "balanced_accuracy", "control", "majority_rate"}
    assert scores[0].details["accuracy"] == scores[0].value
    assert scores[1].details == {}
    assert run(names=names, options=options)[0] == tuple(replace(value, cached=True) for value in scores)


def test_scores_compute_on_the_device_asked_for(run):
    """A device that is not there fails the score that would use it, and whatever is stored is taken on any device."""
    scores, failures = run(names=("itm", "knn"), device="nowhere")
    assert [value.score for value in scores] == ["knn"]
    assert "nowhere" in failures[0].reason
    run(names=("itm", "knn"))
    assert all(value.cached for value in run(names=("itm", "knn"), device="nowhere")[0])


def test_a_second_call_computes_nothing(run, clusters):
    """Scores are found by their key, even when the feature file is gone."""
    first, _ = run()
    clusters(90).path.unlink()
    assert run() == (tuple(replace(value, cached=True) for value in first), ())


@pytest.mark.parametrize(
    ("change", "recomputed"),
    [
        ({"seed": 1}, {"knn", "logme"}),
        ({"folds": 6}, {"knn", "logme"}),
        ({"seeds": 2}, {"knn", "logme"}),
        ({"splitting": "paper", "seeds": 5}, {"knn", "logme"}),
        ({"key": "another" * 9}, {"knn", "logme"}),
        ({"options": {"knn": {"neighbours": 3}}}, {"knn"}),
        ({"options": {"knn": {"neighbours": 20}}}, set()),
        ({"rank_by": "logme"}, set()),
        ({"splits": ("train",)}, set()),
    ],
)
def test_whatever_could_change_a_score_computes_it_again(run, change, recomputed):
    """Other splits, another option or feature file computes the scores that depend on it, and nothing else does."""
    first, _ = run()
    scores, _ = run(**change)
    assert {value.score for value in scores if not value.cached} == recomputed
    assert run() == (tuple(replace(value, cached=True) for value in first), ())


def test_a_new_version_of_the_scores_computes_them_again(run, monkeypatch):
    """Raising the version of the scores leaves no old value in use."""
    run()
    monkeypatch.setattr(scoring, "SCORES", scoring.SCORES + 1)
    assert not any(value.cached for value in run()[0])


@pytest.mark.parametrize("damage", ["cut", "changed", "foreign", "incomplete", "list"])
def test_a_damaged_score_file_is_computed_again(run, store, caplog, damage):
    """A file that is cut, changed by a digit, of another key or something else gives the same score, computed anew."""
    first, _ = run(names=("knn",))
    (path,) = store.root.rglob("knn-*.json")
    stored = json.loads(path.read_text())
    foreign = {name: value for name, value in stored.items() if name != "checksum"} | {"key": "0", "value": 0.99}
    texts = {
        "cut": path.read_text()[:20],
        "changed": json.dumps(stored | {"value": 0.99}),
        "foreign": json.dumps(foreign | {"checksum": content_key(foreign)}),
        "incomplete": json.dumps({"key": stored["key"], "value": 0.99}),
        "list": "[0.99]",
    }
    path.write_text(texts[damage])
    ((again,), failures) = run(names=("knn",))
    assert failures == ()
    assert not again.cached
    assert (again.value, again.draws, again.details) == (first[0].value, first[0].draws, first[0].details)
    assert ("is damaged" in caplog.text) == (damage != "foreign")
    assert run(names=("knn",))[0][0].cached


def test_a_score_that_is_undefined_leaves_the_others(run):
    """An option that makes one score diverge is a failure of that score with its reason; the others have their values."""
    scores, failures = run(names=("knn", "itm", "logme"), options={"itm": {"learning_rate": 1e30, "steps": 100}})
    assert [value.score for value in scores] == ["knn", "logme"]
    (failure,) = failures
    assert (failure.data, failure.model, failure.step) == ("petals", "mine", "score itm")
    assert "diverged" in failure.reason


def test_an_unknown_option_fails_its_score_alone(run):
    """A wrong option that nothing checked before is a failure that names the nearest option."""
    scores, failures = run(options={"knn": {"neighbors": 3}})
    assert [value.score for value in scores] == ["logme"]
    assert "did you mean 'neighbours'" in failures[0].reason


def _broken(*_: object) -> float:
    raise np.linalg.LinAlgError("eigenvalues did not converge")


def test_an_error_in_a_score_is_a_failure_with_its_kind(run, caplog, monkeypatch):
    """What no score should raise is a failure too, with the kind of error, and its traceback is logged."""
    monkeypatch.setitem(_registry._registry, "broken", replace(get("logme"), name="broken", function=_broken))
    scores, failures = run(names=("broken", "knn"))
    assert [value.score for value in scores] == ["knn"]
    assert failures[0].reason == "LinAlgError: eigenvalues did not converge"
    assert "Traceback" in caplog.text


def test_too_few_rows_fail_every_score_with_a_reason(clusters, store):
    """Four images are too few to learn from some and judge on others, and six for ten folds, and the failures say so."""
    scores, failures = score(clusters(4), ScoreParams(names=NAMES, rank_by="knn"), store)
    assert scores == ()
    assert [failure.step for failure in failures] == ["score knn", "score logme"]
    assert all("there are 4 rows; at least 5 are needed" in failure.reason for failure in failures)
    _, failures = score(replace(clusters(6), key="6" * 64), ScoreParams(names=NAMES, rank_by="knn", folds=10), store)
    assert all("there are 6 rows for 10 folds; take fewer folds" in failure.reason for failure in failures)
    assert len(failures) == 2


def test_a_damaged_feature_file_fails_every_score_with_what_to_do(clusters, store):
    """Bytes that changed on the disk are never scored."""
    features = clusters(90)
    whole = bytearray(features.path.read_bytes())
    whole[len(whole) // 3] ^= 1
    features.path.write_bytes(whole)
    scores, failures = score(features, ScoreParams(names=NAMES, rank_by="knn"), store)
    assert scores == ()
    assert all("damaged" in failure.reason and "remove it and run again" in failure.reason for failure in failures)


def test_the_words_of_resume_hold_for_scores(run):
    """Always computes again and comes to the same, only-cache fails what is not there, the other two fill the gaps."""
    scores, failures = run(resume="only-cache")
    assert scores == ()
    assert all("is not stored and resume is 'only-cache'; use 'only-missing'" in failure.reason for failure in failures)
    first, _ = run(resume="never")
    for resume in ("only-missing", "never", "only-cache"):
        assert all(value.cached for value in run(resume=resume)[0])
    again, _ = run(resume="always")
    assert not any(value.cached for value in again)
    assert [value.draws for value in again] == [value.draws for value in first]
