"""Which run is trained next."""

import numpy as np
import pytest

from itm.prediction.curve_model import CurveModel
from itm.prediction.observations import Observation
from itm.prediction.prior import Belief
from itm.selection.policy import Cost, Experiment, Policy, Setting
from tests.prediction.fitted import CURVES, RATES

MODELS = ("good", "as good", "bad")
BELIEF = Belief(MODELS, np.array([1.1, 1.09, 0.3]), np.eye(3) * 0.006)


def policy(belief: Belief = BELIEF, costs: tuple[float, ...] = (10.0, 10.0, 10.0), seeds: int = 2) -> Policy:
    prices = {name: Cost(1.0, seconds) for name, seconds in zip(MODELS, costs, strict=True)}
    return Policy(belief, CurveModel(CURVES), prices, Setting(RATES, 200, seeds))


def seen(model: str, accuracy: float, share: float, rate: int = 1, seed: int = 0) -> Observation:
    return Observation(model, RATES[rate], seed, share, accuracy, 200)


def test_the_middle_rate_of_a_model_comes_first() -> None:
    found = policy().next([])
    assert found is not None
    assert (found[0].rate, found[0].seed, found[0].share) == (1, 0, 1 / 8)


def test_a_model_that_cannot_win_is_not_trained() -> None:
    observed: list[Observation] = []
    own = policy()
    for _ in range(6):
        found = own.next(observed)
        assert found is not None
        experiment = found[0]
        assert experiment.model != "bad"
        observed.append(seen(experiment.model, 0.8, experiment.share, experiment.rate, experiment.seed))


def test_of_two_equal_models_the_cheaper_is_trained_first() -> None:
    equal = Belief(MODELS, np.array([1.1, 1.1, 0.3]), BELIEF.covariance)
    found = policy(equal, costs=(50.0, 5.0, 5.0)).next([])
    assert found is not None
    assert found[0].model == "as good"


def test_a_run_goes_on_with_its_next_share() -> None:
    observed = [seen("good", 0.8, 1 / 4), seen("as good", 0.3, 1 / 4)]
    options = [policy(seeds=1).next(observed, running=[Experiment("as good", 1, 0, 0.5)])]
    assert options[0] is not None
    assert options[0][0].model == "good"
    if options[0][0].rate == 1:
        assert options[0][0].share == 1 / 2


def test_a_model_has_one_running_experiment() -> None:
    found = policy().next([], running=[Experiment("good", 1, 0, 1 / 8)])
    assert found is not None
    assert found[0].model != "good"


def test_time_for_the_final_run_of_the_pick_is_kept() -> None:
    assert policy().next([], seconds_left=12.0) is None
    assert policy().next([], seconds_left=25.0) is not None


def test_runs_that_ended_and_models_that_failed_are_left_alone() -> None:
    ended = [(name, rate, seed) for name in MODELS for rate in range(3) for seed in range(2)]
    assert policy().next([], ended=ended) is None
    found = policy().next([], failed={"good"})
    assert found is not None
    assert found[0].model != "good"


def test_a_second_seed_needs_a_finished_first_one() -> None:
    own = policy()
    observed = [seen("good", 0.8, share, rate) for rate in range(3) for share in (1 / 8, 1 / 4, 1 / 2, 3 / 4)]
    ended = [(name, rate, 0) for name in MODELS for rate in range(3)]
    assert own.next(observed, ended=ended) is None
    found = own.next([*observed, seen("good", 0.8, 1.0)], ended=ended)
    assert found is not None
    assert (found[0].model, found[0].rate, found[0].seed) == ("good", 1, 1)


def test_the_final_run_is_at_the_rate_with_the_highest_expected_end() -> None:
    observed = [seen("good", 0.5, 1.0, rate=1), seen("good", 0.95, 1.0, rate=0), seen("as good", 0.4, 1.0)]
    assert policy().final(observed) == Experiment("good", 0, 0, 1.0)


def test_of_trained_runs_the_best_one_is_delivered() -> None:
    observed = [seen("as good", 0.9, 1.0), seen("as good", 0.7, 1.0, rate=0), seen("good", 0.9, 1 / 4)]
    trained = [("as good", 0, 0), ("as good", 1, 0)]
    assert policy().final(observed, among=trained) == Experiment("as good", 1, 0, 1.0)


def test_a_standing_says_how_sure_the_pick_is() -> None:
    before = policy().standing([])
    after = policy().standing([seen("good", 0.95, 1.0), seen("as good", 0.5, 1.0)])
    assert after.pick == "good"
    assert after.predictions[0].model == "good"
    assert after.predictions[0].chance_best > before.predictions[0].chance_best
    assert after.regret < before.regret
    assert sum(own.chance_best for own in after.predictions) == pytest.approx(1.0)
    assert after.chance_within(0.02) >= after.chance_within(0.001)


def test_a_failed_model_is_neither_picked_nor_predicted() -> None:
    standing = policy().standing([], failed={"good"})
    assert standing.pick == "as good"
    assert {own.model for own in standing.predictions} == {"as good", "bad"}
