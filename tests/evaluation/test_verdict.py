"""The sentences on a pool follow its numbers: who is above ITM, who is below, and what is noise."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from itm.agreement import Interval
from itm.benchmark.contenders import Kind
from itm.benchmark.measured import read_measured
from itm.benchmark.standings import PoolStandings, Standing, standings
from itm.benchmark.standings_table import markdown
from itm.benchmark.verdict import verdict

ITM = (0.5, 0.3, 0.7)


def one(name: str, kind: Kind, mean: float, against: tuple[float, float] | None) -> Standing:
    """Return a contender with this mean tau_w and the ends of its paired interval."""
    difference = None if against is None else Interval(mean - ITM[0], *against)
    return Standing(name, kind, ("a",), (mean,), Interval(mean, mean - 0.1, mean + 0.1), 0, 1, 1, against_itm=difference)


def pool(*others: Standing, tau: tuple[float, float, float] = ITM) -> PoolStandings:
    """Return a pool in which ITM stands beside others and chance reaches 0.2."""
    itm = Standing("itm", "score", ("a",), (tau[0],), Interval(*tau), 0, 1, 1)
    return PoolStandings("small", ("m", "n"), ("a",), (), 0.2, (itm, *others))


def test_a_control_clearly_better_is_said_with_its_interval() -> None:
    """A control above ITM is named with its difference, beyond noise or within it, and one below within noise is no victory."""
    told = verdict(
        pool(
            one("linear_probe", "control", 0.6, (0.02, 0.2)),
            one("knn", "control", 0.55, (-0.02, 0.1)),
            one("gmacs", "control", 0.45, (-0.2, 0.1)),
            one("parameters", "control", 0.1, (-0.6, -0.2)),
        )
    ).sentences
    assert told[1:] == (
        "Of 4 controls besides chance, 2 have a higher mean: clearly linear_probe (+0.10 [+0.02, +0.20]); "
        "within noise knn (+0.05 [-0.02, +0.10]).",
        "ITM is clearly better than parameters, but not than gmacs (-0.05 [-0.20, +0.10]).",
    )


def test_scores_are_better_within_noise_or_worse() -> None:
    """Every score above ITM beyond noise is named, those within noise too, those clearly below are counted."""
    found = verdict(
        pool(
            one("logme", "score", 0.7, (0.1, 0.3)),
            one("leep", "score", 0.52, (-0.1, 0.2)),
            one("nce", "score", 0.48, (-0.2, 0.2)),
            one("lda", "score", 0.1, (-0.5, -0.3)),
        )
    )
    assert found.sentences == (
        "small: ITM has a mean tau_w of 0.50 [0.30, 0.70], place 3 of 5 scores; "
        "all of its interval lies above the 0.20 that one random order in twenty reaches.",
        "Of 4 other scores, clearly better than ITM: logme (+0.20 [+0.10, +0.30]); within noise of it: leep and nce; "
        "clearly worse: 1.",
    )


def test_bad_news_is_never_cut_short() -> None:
    """However many scores beat ITM, each is named; of those within noise the last are counted."""
    better = [one(f"better{number}", "score", 0.7, (0.1, 0.3)) for number in range(12)]
    even = [one(f"even{number}", "score", 0.5, (-0.1, 0.1)) for number in range(12)]
    told = verdict(pool(*better, *even)).sentences[-1]
    assert all(rival.name in told for rival in better)
    assert "even6 and 5 more" in told


@pytest.mark.parametrize(
    ("tau", "told"),
    [
        ((0.5, 0.25, 0.7), "all of its interval lies above the 0.20"),
        ((0.5, 0.1, 0.7), "its interval goes down to the 0.20 that one random order in twenty reaches, or below"),
        ((0.1, -0.1, 0.3), "that is not more than the 0.20"),
    ],
)
def test_itm_is_held_against_chance(tau: tuple[float, float, float], told: str) -> None:
    """The first sentence says whether chance explains what ITM reaches."""
    assert told in verdict(pool(tau=tau)).sentences[0]


def test_an_interval_that_ends_at_nought_is_noise() -> None:
    """A difference whose interval touches 0, or lies across from its own mean, makes neither side better."""
    told = verdict(pool(one("knn", "control", 0.6, (0.0, 0.2)), one("leep", "score", 0.49, (0.01, 0.2)))).sentences
    assert "within noise knn" in told[1]
    assert "clearly better than ITM: none; within noise of it: leep" in told[-1]


def test_without_itm_nothing_is_compared() -> None:
    """A pool whose scores were taken without ITM says so."""
    others = PoolStandings("small", ("m", "n"), ("a",), (), 0.2, (one("knn", "control", 0.6, None),))
    assert verdict(others).sentences == ("small: itm has no values here, so nothing is compared with it.",)


def test_measured_standings_are_told(measured_folder: Callable[..., Path]) -> None:
    """From measurements on, pure noise is clearly worse than a perfect ITM, and the Markdown ends in the sentences."""
    noise = np.random.default_rng(0).normal(size=(3, 12))
    found = standings("all", read_measured(measured_folder(noisy=noise)), draws=100, seed=0)
    told = verdict(found).sentences
    assert "ITM has a mean tau_w of 1.00 [1.00, 1.00], place 1 of 2 scores" in told[0]
    assert "none has a higher mean" in told[1]
    assert "knn (+0.00 [+0.00, +0.00])" in told[2]
    assert told[3] == "Of 1 other score, clearly better than ITM: none; clearly worse: 1."
    assert markdown(found).endswith("\n\n" + " ".join(told) + "\n")
