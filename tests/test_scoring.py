"""Scores of a pair are kept under a key of what could change them, and one that is undefined does not take the others along."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from itm import scoring
from itm.feature_file import write_features
from itm.params import ScoreParams
from itm.scores import contract, get
from itm.scoring import score
from itm.store import Store
from itm.types import Facts, Failure, Features, Score

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

    def call(names: tuple[str, ...] = NAMES, resume: Any = "only-missing", key: str = "k" * 64, **params: Any) -> Scored:
        chosen = ScoreParams.model_validate({"names": names, "rank_by": names[0], **params})
        return score(replace(features, key=key), chosen, store, resume)

    return call


def test_a_pair_has_every_score_with_its_draws(run):
    """Each score asked for has a value, as many draws as asked for, and the identity of weights and data."""
    scores, failures = run(draws=4)
    assert failures == ()
    assert [value.score for value in scores] == list(NAMES)
    for value in scores:
        assert len(value.draws) == 4
        assert (value.data, value.data_hash, value.model, value.weights) == ("petals", "d" * 64, "mine", "w" * 64)
        assert not value.cached
    assert 1 / 3 < scores[0].value <= 1


def test_a_second_call_computes_nothing(run, clusters):
    """Scores are found by their key, even when the feature file is gone."""
    first, _ = run()
    clusters(90).path.unlink()
    assert run() == (tuple(replace(value, cached=True) for value in first), ())


@pytest.mark.parametrize(
    ("change", "recomputed"),
    [
        ({"seed": 1}, {"knn", "logme"}),
        ({"draws": 6}, {"knn", "logme"}),
        ({"key": "another" * 9}, {"knn", "logme"}),
        ({"options": {"knn": {"neighbours": 3}}}, {"knn"}),
        ({"options": {"knn": {"neighbours": 20}}}, set()),
        ({"rank_by": "logme"}, set()),
        ({"splits": ("train",)}, set()),
    ],
)
def test_whatever_could_change_a_score_computes_it_again(run, change, recomputed):
    """Another seed, number of draws, option or feature file computes the scores that depend on it, and nothing else does."""
    first, _ = run()
    scores, _ = run(**change)
    assert {value.score for value in scores if not value.cached} == recomputed
    assert run() == (tuple(replace(value, cached=True) for value in first), ())


def test_a_new_version_of_the_scores_computes_them_again(run, monkeypatch):
    """Raising the version of the scores leaves no old value in use."""
    run()
    monkeypatch.setattr(scoring, "SCORES", scoring.SCORES + 1)
    assert not any(value.cached for value in run()[0])


@pytest.mark.parametrize("damage", ["cut", "foreign", "incomplete", "list"])
def test_a_damaged_score_file_is_computed_again(run, store, caplog, damage):
    """A file that is cut, of another key, lacks a field or is something else gives the same score, computed anew."""
    first, _ = run(names=("knn",))
    (path,) = store.root.rglob("knn-*.json")
    stored = json.loads(path.read_text())
    texts = {
        "cut": path.read_text()[:20],
        "foreign": json.dumps(stored | {"key": "0", "value": 0.99}),
        "incomplete": json.dumps({"key": stored["key"], "value": 0.99}),
        "list": "[0.99]",
    }
    path.write_text(texts[damage])
    ((again,), failures) = run(names=("knn",))
    assert failures == ()
    assert not again.cached
    assert (again.value, again.draws) == (first[0].value, first[0].draws)
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
    monkeypatch.setitem(contract._registry, "broken", replace(get("logme"), name="broken", function=_broken))
    scores, failures = run(names=("broken", "knn"))
    assert [value.score for value in scores] == ["knn"]
    assert failures[0].reason == "LinAlgError: eigenvalues did not converge"
    assert "Traceback" in caplog.text


def test_too_few_rows_fail_every_score_with_a_reason(clusters, store):
    """Four images are too few to learn from some and judge on others, and that is what the failures say."""
    scores, failures = score(clusters(4), ScoreParams(names=NAMES, rank_by="knn"), store)
    assert scores == ()
    assert [failure.step for failure in failures] == ["score knn", "score logme"]
    assert all("there are 4 rows; at least 5 are needed" in failure.reason for failure in failures)


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
