"""Scores of a pair are kept under a key of what could change them, and one that is undefined does not take the others along."""

from dataclasses import replace

import numpy as np
import pytest

from itm.core.sections import ScoreParams
from itm.core.types import Failure, Outcome, ScoreValue
from itm.kinds import KINDS
from itm.kinds.classification import Classification
from itm.ranking.batch import splitting
from itm.ranking.pooled import with_pooled
from itm.ranking.scoring import score, score_together
from itm.scores import Sample, Splitting, evaluate
from itm.scores import registry as _registry
from itm.scores.library.logme import Logme
from itm.store.feature_file import read_embeddings

NAMES = ("knn", "logme")
Scored = tuple[tuple[ScoreValue, ...], tuple[Failure, ...]]


def test_a_pair_has_every_score_with_its_values_per_fold(run):
    scores, failures = run(folds=4)
    assert failures == ()
    assert [value.score for value in scores] == list(NAMES)
    for value in scores:
        assert len(value.fold_values) == 4
        assert (value.data, value.data_hash, value.model, value.weights) == ("petals", "d" * 64, "mine", "w" * 64)
        assert not value.cached
    assert 1 / 3 < scores[0].value <= 1


@pytest.mark.parametrize(
    ("params", "splits"),
    [
        ({}, Splitting()),
        ({"folds": 3, "repeats": 2, "seed": 8}, Splitting("cross_validation", 3, 2, 8)),
        ({"splitting": "holdout", "folds": 4, "repeats": 3}, Splitting("holdout", 4, 3)),
    ],
)
def test_the_parameters_say_how_rows_are_split(run, clusters, params, splits):
    assert splitting(ScoreParams(**params)) == splits
    embeddings, labels, ids = read_embeddings(clusters(90).path)
    for value in run(**params)[0]:
        expected = evaluate(value.score, embeddings, labels, ids=ids, splitting=splits)
        assert value.value == pytest.approx(expected.value, rel=1e-9)
        assert value.fold_values == pytest.approx(expected.fold_values, rel=1e-9)
        assert value.details == pytest.approx(expected.details, rel=1e-9)


def test_folds_keep_the_groups_of_the_feature_file(clusters, store):
    features = clusters(90, group_size=6)
    embeddings, targets, ids = read_embeddings(features.path)
    (value,), _ = score(features, ScoreParams(names=("knn",), rank_by="knn"), store)
    expected, without = (evaluate("knn", embeddings, targets, groups=groups, ids=ids) for groups in (np.arange(90) // 6, None))
    assert value.fold_values == pytest.approx(expected.fold_values, rel=1e-9)
    assert value.fold_values != pytest.approx(without.fold_values, rel=1e-9)


def test_scores_that_do_not_hold_for_the_kind_are_left_out(clusters, store, monkeypatch):
    monkeypatch.setitem(KINDS, "toy", type("Toy", (Classification,), {"name": "toy"})())
    monkeypatch.setattr(Logme, "info", replace(Logme.info, kinds=("classification", "toy")))
    params = ScoreParams(names=("knn", "logme", "etran"), rank_by="logme")
    scores, failures = score(clusters(90, kind="toy"), params, store)
    assert ([value.score for value in scores], failures) == (["logme"], ())
    assert with_pooled([Outcome("petals", "mine", clusters(90, kind="toy"), scores, ())], params)[0].failures == ()


def test_models_scored_together_score_as_alone(clusters, store):
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
        assert [(one.model, one.value, one.fold_values) for one in scores] == [
            (one.model, one.value, one.fold_values) for one in expected
        ]
    assert all(one.cached for scores, _ in score_together(models, params, store) for one in scores)


def test_details_are_kept_with_the_score(run):
    names = ("itm", "logme")
    options = {"itm": {"steps": 100, "batch_size": 32}}
    scores, _ = run(names=names, options=options)
    assert set(scores[0].details) == {"accuracy", "balanced_accuracy", "control", "baseline"}
    assert (scores[0].metric, scores[1].metric) == ("accuracy", None)
    assert scores[0].details["accuracy"] == scores[0].value
    assert scores[1].details == {}
    assert run(names=names, options=options)[0] == tuple(replace(value, cached=True) for value in scores)


def test_scores_compute_on_the_device_asked_for(run):
    scores, failures = run(names=("itm", "knn"), device="nowhere")
    assert [value.score for value in scores] == ["knn"]
    assert "nowhere" in failures[0].reason
    run(names=("itm", "knn"))
    assert all(value.cached for value in run(names=("itm", "knn"), device="nowhere")[0])


def test_a_score_that_is_undefined_leaves_the_others(run):
    scores, failures = run(names=("knn", "itm", "logme"), options={"itm": {"learning_rate": 1e30, "steps": 100}})
    assert [value.score for value in scores] == ["knn", "logme"]
    (failure,) = failures
    assert (failure.data, failure.model, failure.step) == ("petals", "mine", "score itm")
    assert "diverged" in failure.reason


def test_an_unknown_option_fails_its_score_alone(run):
    scores, failures = run(options={"knn": {"neighbors": 3}})
    assert [value.score for value in scores] == ["logme"]
    assert "did you mean 'neighbours'" in failures[0].reason


class _Broken(Logme):
    """A score that raises what no score should raise."""

    info = replace(Logme.info, name="broken")

    def value(self, sample: Sample) -> float:  # noqa: ARG002
        raise np.linalg.LinAlgError("eigenvalues did not converge")


def test_an_error_in_a_score_is_a_failure_with_its_kind(run, caplog, monkeypatch):
    monkeypatch.setitem(_registry._registry, "broken", _Broken)
    scores, failures = run(names=("broken", "knn"))
    assert [value.score for value in scores] == ["knn"]
    assert failures[0].reason == "LinAlgError: eigenvalues did not converge"
    assert "Traceback" in caplog.text


def test_too_few_rows_fail_every_score_with_a_reason(clusters, store):
    scores, failures = score(clusters(4), ScoreParams(names=NAMES, rank_by="knn"), store)
    assert scores == ()
    assert [failure.step for failure in failures] == ["score knn", "score logme"]
    assert all("there are 4 rows; at least 5 are needed" in failure.reason for failure in failures)
    _, failures = score(replace(clusters(6), key="6" * 64), ScoreParams(names=NAMES, rank_by="knn", folds=10), store)
    assert all("there are 6 rows for 10 folds; take fewer folds" in failure.reason for failure in failures)
    assert len(failures) == 2


def test_a_damaged_feature_file_fails_every_score_with_what_to_do(clusters, store):
    features = clusters(90)
    whole = bytearray(features.path.read_bytes())
    whole[len(whole) // 3] ^= 1
    features.path.write_bytes(whole)
    scores, failures = score(features, ScoreParams(names=NAMES, rank_by="knn"), store)
    assert scores == ()
    assert all("damaged" in failure.reason and "remove it and run again" in failure.reason for failure in failures)
