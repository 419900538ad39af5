"""Sentences about the baseline, the control and held-out images."""

from dataclasses import replace
from typing import Any

import pytest

from itm.core.rankings import DataRanking
from itm.report.details import baseline, control, held_out, note, scored_splits
from tests.report.example import POOL, example_ranking, ranked_by


def _with_details(data: DataRanking, **details: float) -> DataRanking:
    """Return the data set with these details in the score of every model."""
    rows = [
        replace(row, estimate=replace(row.estimate, details=row.estimate.details | details)) if row.estimate else row
        for row in data.rows
    ]
    return replace(data, rows=tuple(rows))


def _alone(data: DataRanking) -> DataRanking:
    return replace(data, rows=data.rows[:1])


def test_baseline_counts_the_models_that_exceed_it() -> None:
    far, near = example_ranking().data_sets[:2]
    assert baseline(far) == "Always predicting the most frequent class reaches an accuracy of 0.244."
    assert baseline(near).endswith(" of 0.305; 7 of 8 models clearly exceed it.")
    assert baseline(_with_details(far, baseline=0.99)).endswith(" of 0.990; no model clearly exceeds it.")


def test_baseline_is_not_compared_with_a_score_of_another_metric() -> None:
    data = replace(example_ranking().data_sets[1], score_metric="balanced_accuracy")
    assert baseline(data).endswith(" of 0.305.")


def test_note_gives_both_accuracies_if_they_differ() -> None:
    data = example_ranking().data_sets[0]
    assert note(data) == ""
    assert (
        note(_with_details(data, balanced_accuracy=0.7))
        == "The first has an accuracy of 0.934 and a balanced accuracy of 0.700."
    )
    by_class = replace(_with_details(_alone(data), accuracy=0.938, balanced_accuracy=0.934), score_metric="balanced_accuracy")
    assert note(by_class) == "The first has an accuracy of 0.938 and a balanced accuracy of 0.934."


def test_a_control_within_the_standard_error_for_every_model() -> None:
    assert control(example_ranking().data_sets[0]) == (
        f"The control (the same training without moving the embeddings, eta = 0) reaches 0.933 for {POOL[0][0]}. "
        "The largest difference between a score and its control is 0.005. "
        "For every model, the difference is within the standard error of the score. "
        "Ranked by the control, the same model is first."
    )


def test_a_control_beyond_the_standard_error_for_some_models() -> None:
    text = control(example_ranking().data_sets[1])
    assert "its control is 0.050. For 5 of 8 models, the difference is larger than the standard error of the score." in text
    assert text.endswith("Ranked by the control, vit_base_patch16_224.augreg_in21k_ft_in1k is first.")


def test_a_tied_model_that_the_control_ranks_first_is_called_tied() -> None:
    data = example_ranking().data_sets[0]
    rows = list(data.rows)
    assert rows[1].estimate is not None
    rows[1] = replace(rows[1], estimate=replace(rows[1].estimate, details=rows[1].estimate.details | {"control": 0.99}))
    text = control(replace(data, rows=tuple(rows)))
    assert text.endswith(f"Ranked by the control, {POOL[1][0]} is first; it is tied with {POOL[0][0]} by score.")


def test_control_of_a_single_model_and_of_another_score() -> None:
    data = replace(_alone(example_ranking().data_sets[0]), rank_by="other")
    assert control(data) == (
        f"The control reaches 0.9330 for {POOL[0][0]}. The difference is within the standard error of the score."
    )
    assert control(_with_details(data, control=0.5)).endswith("is larger than the standard error of the score.")


def test_no_sentence_about_a_score_without_details() -> None:
    for data in ranked_by(example_ranking(), "logme").data_sets:
        assert (baseline(data), note(data), control(data)) == ("", "", "")


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({"splitting": "cross_validation", "folds": 5, "repeats": 1}, "so every image is tested exactly once."),
        ({"splitting": "cross_validation", "folds": 12, "repeats": 3}, "This is repeated 3 times with other folds."),
        (
            {"splitting": "holdout", "folds": 5, "repeats": 5},
            "A random 1/5 of the images is the test set, the rest the training",
        ),
        ({}, "a training set and a test set several times."),
    ],
)
def test_held_out_follows_the_parameters(params: dict[str, Any], text: str) -> None:
    ranking = replace(example_ranking(), provenance={"params": {"score": params}})
    assert text in held_out(ranking)
    assert held_out(ranking).startswith("The share of images whose class a small classifier predicts correctly, trained on the")
    assert "group" not in held_out(ranking)
    grouped = replace(ranking, data_sets=(replace(ranking.data_sets[0], groups=7), *ranking.data_sets[1:]))
    assert held_out(grouped).endswith(" A group is never divided.")


def test_splits_are_named_unless_all_are_scored() -> None:
    ranking = example_ranking()
    assert scored_splits(ranking) == "train and val"
    for splits in ({"splits": ["train", "val", "test"]}, {}):
        assert scored_splits(replace(ranking, provenance={"params": {"score": splits}})) == ""
    assert scored_splits(replace(ranking, provenance={})) == ""
