"""Verdicts after fine-tuning: decided only where chance does not explain the difference, and never against the table."""

import pytest

from itm.core.confirmations import Confirmed
from itm.core.types import Failure, Outcome
from itm.finetuning.accuracy import accuracy, chance_of_lead
from itm.finetuning.confirm import confirm
from itm.report.confirmation import verdict
from tests.finetuning.records import a_ranking, a_run


def compared(images: int, *order: str, **accuracies: tuple[float, float]) -> Confirmed:
    """Return the comparison of models with these validation and test accuracies, ranked in this order."""
    finetuned = [
        Outcome("petals", name, runs=(a_run(name, "full", *both, images=images), a_run(name, "head", 0.1, 0.2, images=images)))
        for name, both in accuracies.items()
    ]
    (one,) = confirm(a_ranking(*order), finetuned)
    return one


def test_an_interval_follows_from_the_number_of_images():
    assert (accuracy([0.474], 57).low, accuracy([0.474], 57).high) == pytest.approx((0.350, 0.601), abs=0.001)
    wide, narrow = accuracy([0.8], 30), accuracy([0.8], 3000)
    assert wide.high - wide.low == pytest.approx(10 * (narrow.high - narrow.low), rel=0.1)
    assert 0.8 < accuracy([1.0], 20).low < accuracy([1.0], 20).high == 1.0
    assert accuracy([0.0], 20).high > 0.1
    assert accuracy([0.5], 1).low < 0.1


def test_the_spread_of_seeds_widens_an_interval_and_equal_seeds_do_not_narrow_it():
    one, equal, spread = accuracy([0.6], 100), accuracy([0.6, 0.6], 100), accuracy([0.4, 0.8], 100)
    assert (equal.low, equal.high) == (one.low, one.high)
    assert spread.value == pytest.approx(one.value)
    assert spread.high - spread.low > 2 * (one.high - one.low)


def test_the_same_accuracy_on_other_numbers_of_images_is_not_the_same_evidence():
    assert chance_of_lead(accuracy([0.6], 50), accuracy([0.5], 50)) > 0.1
    assert chance_of_lead(accuracy([0.6], 1000), accuracy([0.5], 1000)) < 0.1


def test_equal_validation_accuracies_are_undecided_whatever_the_test_shows():
    one = compared(57, "a", "b", a=(0.5, 0.316), b=(0.5, 0.474))
    assert (one.leader, one.pick, one.tied) == ("a", None, ("a", "b"))
    said = verdict(one)
    assert said.startswith("Undecided for petals: fine-tuning cannot tell a and b apart.")
    assert "b is 15.8 points above a, which may be chance." in said


def test_a_small_lead_is_undecided_and_a_large_one_decided():
    near = compared(200, "a", "b", "c", a=(0.80, 0.99), b=(0.82, 0.95), c=(0.40, 0.45))
    assert (near.leader, near.pick, near.other, near.tied) == ("b", None, "a", ("b", "a"))
    assert near.lead == pytest.approx(0.02)
    assert [row.head_test.value for row in near.candidates if row.head_test] == [0.2] * 3
    far = compared(200, "c", "a", a=(0.80, 0.80), c=(0.40, 0.45))
    assert (far.pick, far.tied) == ("a", ())
    assert "fine-tuning picks a instead of c, the first model by itm. Its validation accuracy is 40.0 points" in verdict(far)
    confirmed = compared(200, "a", "c", a=(0.80, 0.80), c=(0.40, 0.45))
    assert "fine-tuning confirms a, the first model by itm." in verdict(confirmed)


def test_a_first_model_that_is_clearly_below_two_tied_ones_is_named():
    one = compared(200, "c", "a", "b", a=(0.80, 0.80), b=(0.81, 0.80), c=(0.40, 0.45))
    assert one.pick is None
    assert "cannot tell b and a apart." in verdict(one)
    assert "c, the first model by itm, is clearly below." in verdict(one)


def test_test_images_that_contradict_validation_leave_it_undecided():
    one = compared(400, "a", "b", a=(0.8, 0.5), b=(0.6, 0.9))
    assert (one.leader, one.pick, one.tied, one.test_favours) == ("a", None, (), "b")
    assert verdict(one).startswith("Undecided for petals: validation and test disagree.")
    assert verdict(one).endswith("On the test images, b is 40.0 points above a, more than chance.")


def test_a_higher_test_accuracy_within_chance_is_mentioned_beside_a_decision():
    one = compared(100, "a", "b", a=(0.9, 0.70), b=(0.6, 0.72))
    assert one.pick == "a"
    assert verdict(one).endswith("On the test images, b is 2.0 points above a, which may be chance.")


def test_models_that_fail_are_candidates_with_a_reason():
    failed = Outcome("petals", "a", failures=(Failure("petals", "a", "finetune", "no memory"),))
    done = Outcome("petals", "b", runs=(a_run("b", "full", 0.5, 0.5),))
    (one,) = confirm(a_ranking("a", "b"), [failed, done])
    assert [(row.model, row.reason) for row in one.candidates] == [("a", "finetune: no memory"), ("b", None)]
    assert verdict(one) == "For petals, only b was fine-tuned: a failed, so nothing is compared."
    (one,) = confirm(a_ranking("b"), [done])
    assert verdict(one) == "For petals, only b was fine-tuned: no other model was fine-tuned, so nothing is compared."
    (one,) = confirm(a_ranking("a"), [failed])
    assert verdict(one) == "For petals, no fine-tuning finished."
