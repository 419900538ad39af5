"""Scores of a pair are stored under a key of all that could change them."""

import json
from dataclasses import replace

import pytest

from itm.core.keys import content_key
from itm.scores.library.knn import Knn


def test_a_second_call_computes_nothing(run, clusters):
    first, _ = run()
    clusters(90).path.unlink()
    assert run() == (tuple(replace(value, cached=True) for value in first), ())


@pytest.mark.parametrize(
    ("change", "recomputed"),
    [
        ({"seed": 1}, {"knn", "logme"}),
        ({"folds": 6}, {"knn", "logme"}),
        ({"repeats": 2}, {"knn", "logme"}),
        ({"splitting": "holdout", "repeats": 5}, {"knn", "logme"}),
        ({"key": "another" * 9}, {"knn", "logme"}),
        ({"options": {"knn": {"neighbours": 3}}}, {"knn"}),
        ({"options": {"knn": {"neighbours": 20}}}, set()),
        ({"rank_by": "logme"}, set()),
        ({"splits": ("train",)}, set()),
    ],
)
def test_whatever_could_change_a_score_computes_it_again(run, change, recomputed):
    first, _ = run()
    scores, _ = run(**change)
    assert {value.score for value in scores if not value.cached} == recomputed
    assert run() == (tuple(replace(value, cached=True) for value in first), ())


def test_a_new_version_of_one_score_computes_that_score_again(run, monkeypatch):
    first, _ = run()
    monkeypatch.setattr(Knn, "info", replace(Knn.info, version=Knn.info.version + 1))
    again, _ = run()
    assert [(value.score, value.cached) for value in again] == [("knn", False), ("logme", True)]
    assert [value.fold_values for value in again] == [value.fold_values for value in first]
    monkeypatch.undo()
    assert all(value.cached for value in run()[0])


@pytest.mark.parametrize("damage", ["cut", "changed", "foreign", "incomplete", "list"])
def test_a_damaged_score_file_is_computed_again(run, store, caplog, damage):
    first, _ = run(names=("knn",))
    (path,) = store.root.rglob("knn-*.json")
    stored = json.loads(path.read_text())
    other = {"payload": stored["payload"] | {"value": 0.99}}
    foreign = {name: value for name, value in stored.items() if name != "checksum"} | other | {"key": "0"}
    texts = {
        "cut": path.read_text()[:20],
        "changed": json.dumps(stored | other),
        "foreign": json.dumps(foreign | {"checksum": content_key(foreign)}),
        "incomplete": json.dumps({"key": stored["key"]} | other),
        "list": "[0.99]",
    }
    path.write_text(texts[damage])
    ((again,), failures) = run(names=("knn",))
    assert failures == ()
    assert not again.cached
    assert (again.value, again.fold_values, again.details) == (first[0].value, first[0].fold_values, first[0].details)
    assert "is damaged" in caplog.text
    assert run(names=("knn",))[0][0].cached


def test_the_words_of_resume_hold_for_scores(run):
    scores, failures = run(resume="only-cache")
    assert scores == ()
    assert all("is not stored and resume is 'only-cache'; use 'only-missing'" in failure.reason for failure in failures)
    first, _ = run(resume="only-missing")
    for resume in ("only-missing", "only-cache"):
        assert all(value.cached for value in run(resume=resume)[0])
    again, _ = run(resume="always")
    assert not any(value.cached for value in again)
    assert [value.fold_values for value in again] == [value.fold_values for value in first]
