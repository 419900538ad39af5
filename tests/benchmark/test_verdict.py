"""The sentences about a pool follow its results."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from itm.agreement import Interval
from itm.benchmark.measurements import read_measurements
from itm.benchmark.predictors import Kind
from itm.benchmark.results import PoolResults, PredictorResult, evaluate_pool
from itm.benchmark.standings_table import markdown, print_standings
from itm.benchmark.verdict import verdict

ITM = (0.5, 0.3, 0.7)


def result(name: str, kind: Kind, mean: float, against: tuple[float, float] | None) -> PredictorResult:
    """Return a result with this mean tau_w and this interval of the difference to ITM."""
    difference = None if against is None else Interval(mean - ITM[0], *against)
    return PredictorResult(
        name, kind, ("a",), (mean,), Interval(mean, mean - 0.1, mean + 0.1), 0, 1, 1, difference_to_itm=difference
    )


def pool(*others: PredictorResult, tau: tuple[float, float, float] = ITM) -> PoolResults:
    """Return a pool with ITM and other predictors, and a chance level of 0.2."""
    itm = PredictorResult("itm", "score", ("a",), (tau[0],), Interval(*tau), 0, 1, 1)
    return PoolResults("small", ("m", "n"), ("a",), (), 0.2, (itm, *others))


def test_controls_above_itm_are_named_with_intervals() -> None:
    sentences = verdict(
        pool(
            result("linear_probe", "control", 0.6, (0.02, 0.2)),
            result("knn", "control", 0.55, (-0.02, 0.1)),
            result("gmacs", "control", 0.45, (-0.2, 0.1)),
            result("parameters", "control", 0.1, (-0.6, -0.2)),
        )
    )
    assert sentences[1:] == (
        "Of 4 controls besides chance, 2 have a higher mean (clearly better: linear_probe (+0.10 [+0.02, +0.20]); "
        "within noise: knn (+0.05 [-0.02, +0.10])).",
        "ITM is clearly better than parameters, but not clearly better than gmacs (-0.05 [-0.20, +0.10]).",
    )


def test_scores_are_better_within_noise_or_worse() -> None:
    found = verdict(
        pool(
            result("logme", "score", 0.7, (0.1, 0.3)),
            result("leep", "score", 0.52, (-0.1, 0.2)),
            result("nce", "score", 0.48, (-0.2, 0.2)),
            result("lda", "score", 0.1, (-0.5, -0.3)),
        )
    )
    assert found == (
        "small: ITM has a mean tau_w of 0.50 [0.30, 0.70], place 3 of 5 scores; "
        "its whole interval is above the 0.20 that 5 % of random orders reach.",
        "Of 4 other scores, clearly better than ITM: logme (+0.20 [+0.10, +0.30]); within noise: leep and nce; "
        "clearly worse: 1.",
    )


def test_all_better_scores_are_named() -> None:
    better = [result(f"better{number}", "score", 0.7, (0.1, 0.3)) for number in range(12)]
    even = [result(f"even{number}", "score", 0.5, (-0.1, 0.1)) for number in range(12)]
    sentences = verdict(pool(*better, *even))[-1]
    assert all(rival.name in sentences for rival in better)
    assert "even6 and 5 more" in sentences


@pytest.mark.parametrize(
    ("tau", "message"),
    [
        ((0.5, 0.25, 0.7), "its whole interval is above the 0.20"),
        ((0.5, 0.1, 0.7), "its interval includes the 0.20 that 5 % of random orders reach"),
        ((0.1, -0.1, 0.3), "this is not above the 0.20"),
    ],
)
def test_itm_is_compared_with_chance(tau: tuple[float, float, float], message: str) -> None:
    assert message in verdict(pool(tau=tau))[0]


def test_interval_that_ends_at_zero_is_noise() -> None:
    sentences = verdict(pool(result("knn", "control", 0.6, (0.0, 0.2)), result("leep", "score", 0.49, (0.01, 0.2))))
    assert "within noise: knn" in sentences[1]
    assert "clearly better than ITM: none; within noise: leep" in sentences[-1]


def test_without_itm_nothing_is_compared() -> None:
    others = PoolResults("small", ("m", "n"), ("a",), (), 0.2, (result("knn", "control", 0.6, None),))
    assert verdict(others) == ("small: itm has no values, so nothing is compared with it.",)


def test_verdict_of_measurements(measured_folder: Callable[..., Path]) -> None:
    noise = np.random.default_rng(0).normal(size=(3, 12))
    found = evaluate_pool("all", read_measurements(measured_folder(noisy=noise)), resamples=100, seed=0)
    sentences = verdict(found)
    assert "ITM has a mean tau_w of 1.00 [1.00, 1.00], place 1 of 2 scores" in sentences[0]
    assert "none has a higher mean" in sentences[1]
    assert "knn (+0.00 [+0.00, +0.00])" in sentences[2]
    assert sentences[3] == "Of 1 other score, clearly better than ITM: none; clearly worse: 1."
    assert markdown(found).endswith("\n\n" + " ".join(sentences) + "\n")


def test_tables_print_no_negative_zero_and_one_data_set() -> None:
    text = markdown(pool(result("knn", "control", 0.499, (-0.004, 0.003)), result("lda", "score", 0.5, (-0.004, -0.001))))
    assert "-0.00" not in text
    assert "| +0.00 [+0.00, +0.00] |" in text
    assert "small: 2 models, 1 data set;" in text


def test_the_terminal_names_a_pool_once(capsys: pytest.CaptureFixture[str]) -> None:
    print_standings(pool(result("knn", "control", 0.4, (-0.2, 0.0))), Console(width=300))
    assert capsys.readouterr().out.count("small: ") == 1
