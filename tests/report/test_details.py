"""What is said in words of a score's details, and of how its draws came about."""

from dataclasses import replace
from typing import Any

import pytest

from itm.core.rankings import DataRanking
from itm.report.details import balance, commonest_class, control, drawing, scored_splits
from tests.report.example import POOL, example_ranking, ranked_by


def _with_details(data: DataRanking, **details: float) -> DataRanking:
    """Return the data set with these details put into every model's score."""
    rows = [
        replace(row, estimate=replace(row.estimate, details=row.estimate.details | details)) if row.estimate else row
        for row in data.rows
    ]
    return replace(data, rows=tuple(rows))


def _alone(data: DataRanking) -> DataRanking:
    return replace(data, rows=data.rows[:1])


def test_commonest_class_counts_the_models_that_exceed_it() -> None:
    """What needs no model is said in every case, and of models only if some are not clearly better."""
    far, near = example_ranking().data_sets[:2]
    assert commonest_class(far) == "Always naming the commonest class would reach an accuracy of 0.244."
    assert commonest_class(near).endswith(" of 0.305, which all but 1 of the 8 models clearly exceed.")
    assert commonest_class(_with_details(far, majority_rate=0.99)).endswith(" of 0.990, which no model clearly exceeds.")


def test_commonest_class_is_not_compared_with_balanced_scores() -> None:
    """Where every class counts alike, the score is another measure, and no model is said to exceed the rate or not."""
    data = example_ranking().data_sets[1]
    shifted = [
        replace(row, estimate=replace(row.estimate, details=row.estimate.details | _swapped(row.estimate.value)))
        for row in data.rows
        if row.estimate
    ]
    assert commonest_class(replace(data, rows=tuple(shifted))).endswith(" of 0.305.")


def _swapped(value: float) -> dict[str, float]:
    return {"accuracy": value + 0.2, "balanced_accuracy": value}


def test_balance_is_told_where_it_matters() -> None:
    """Both accuracies of the first are given where classes change it noticeably, and otherwise neither."""
    data = example_ranking().data_sets[0]
    assert balance(data) == ""
    assert balance(_with_details(data, balanced_accuracy=0.7)) == (
        "The first is right for 0.934 of the images; with every class counting alike (balanced accuracy) for 0.700."
    )
    by_class = _with_details(_alone(data), accuracy=0.938, balanced_accuracy=0.934)
    assert balance(by_class).startswith("The first is right for 0.9380 of the images; with every class")


def test_a_control_that_hardly_differs_is_said_to() -> None:
    """Where no difference is above the standard error, the words are plain, and the largest difference is given."""
    assert control(example_ranking().data_sets[0], "itm") == (
        f"Without the movement (eta = 0) the same training reaches 0.933 for {POOL[0][0]}; no score on this data set differs "
        "from its control by more than 0.005. Score and control hardly differ: the difference is within the score's standard "
        "error for every model. By the control the same model would come first."
    )


def test_a_control_that_differs_is_counted_and_ranked() -> None:
    """Where some differences are above the standard error, these are counted, and the first by the control is named."""
    said = control(example_ranking().data_sets[1], "itm")
    assert "by more than 0.050. The difference is above the score's standard error for 5 of the 8 models." in said
    assert said.endswith("By the control vit_base_patch16_224.augreg_in21k_ft_in1k would come first.")


def test_another_first_among_ties_is_called_a_tie() -> None:
    """If the control puts another first that the score cannot tell from its own, that is said too."""
    data = example_ranking().data_sets[0]
    rows = list(data.rows)
    assert rows[1].estimate is not None
    rows[1] = replace(rows[1], estimate=replace(rows[1].estimate, details=rows[1].estimate.details | {"control": 0.99}))
    said = control(replace(data, rows=tuple(rows)), "itm")
    assert said.endswith(f"By the control {POOL[1][0]} would come first, which the score cannot tell apart from its own first.")


def test_one_model_is_not_spoken_of_as_many() -> None:
    """With a single model there is no order and no `every model`, and with another score no movement."""
    data = _alone(example_ranking().data_sets[0])
    assert control(data, "other") == (
        f"The control reaches 0.9330 for {POOL[0][0]}. Score and control hardly differ: the difference is within the score's "
        "standard error."
    )
    assert control(_with_details(data, control=0.5), "itm").endswith("is above the score's standard error for the model.")


def test_nothing_is_said_of_a_score_without_details() -> None:
    """A score that says no more than its value, and a data set without scores, leave nothing to say."""
    for data in ranked_by(example_ranking(), "logme").data_sets:
        assert (commonest_class(data), balance(data), control(data, "logme")) == ("", "", "")


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"splitting": "cross_fitted", "folds": 5, "seeds": 1}, "judged exactly once by what did not learn from it."),
        ({"splitting": "cross_fitted", "folds": 12, "seeds": 3}, "All of that is done three times, the images dealt anew."),
        ({"splitting": "paper", "folds": 5, "seeds": 5}, "One in five of the images, drawn at random, is judged"),
        ({}, "several times over."),
    ],
)
def test_drawing_follows_the_parameters(params: dict[str, Any], said: str) -> None:
    """How images were held out is told as the ranking's own parameters have it, and vaguely where they are not known."""
    assert said in drawing(replace(example_ranking(), provenance={"params": {"score": params}}))


def test_splits_are_named_unless_all_are_scored() -> None:
    """Readers learn that images were left out of scoring, and nothing where none were or it is not known."""
    ranking = example_ranking()
    assert scored_splits(ranking) == "train and val"
    for splits in ({"splits": ["train", "val", "test"]}, {}):
        assert scored_splits(replace(ranking, provenance={"params": {"score": splits}})) == ""
    assert scored_splits(replace(ranking, provenance={})) == ""
