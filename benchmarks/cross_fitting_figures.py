"""The schemes that benchmarks/cross_fitting.py compares, and the figures of each."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from rich.table import Column, Table
from scipy.stats import weightedtau

from itm.ranking.intervals import half_width
from itm.scores import Splitting

ONE, FIVE = "holdout, once", "holdout, 5 times"
CROSS, TWICE = "cross-validation, once", "cross-validation, twice"
SCHEMES = {
    ONE: Splitting("holdout"),
    FIVE: Splitting("holdout", repeats=5),
    CROSS: Splitting("cross_validation"),
    TWICE: Splitting("cross_validation", repeats=2),
}
COLUMNS = {
    "score": ("score", ".1f"),
    "deviation": ("s.d.", ".2f"),
    "agreement": ("tau_w, two runs", ".3f"),
    "worst": ("worst", ".3f"),
    "near_reference": ("tau_w, reference", ".3f"),
    "spread": ("max - min", ".3f"),
    "ties": ("ties", ".1%"),
    "half_width": ("half width", ".1f"),
    "holds_reference": ("holds reference", ".0%"),
    "holds_shifted": ("holds shifted", ".0%"),
    "seconds": ("seconds", ".2f"),
}
CAPTION = (
    "score, s.d. and half width in points; ties: adjacent models with equal scores; holds: how often the 95 % interval holds "
    "the score on all images (reference), also less what models gain by them on average (shifted); all sets: mean, worst of all"
)


@dataclass(frozen=True)
class Runs:
    """Values [model, run, fold] of one scheme, and the CPU time per run in seconds, mean over models."""

    fold_values: np.ndarray
    seconds: float

    @property
    def scores(self) -> np.ndarray:
        """Return the scores [model, run]."""
        return np.asarray(self.fold_values.mean(axis=2))


@dataclass(frozen=True)
class Found:
    """The runs of each scheme on the sample of one set, and the score of each model on all its images."""

    images: int
    sampled: int
    models: list[str]
    runs: dict[str, Runs]
    reference: np.ndarray

    @property
    def above(self) -> float:
        """Return by how many points a model scores higher on all images, half of the fits by either way of splitting."""
        sample = np.mean([self.runs[name].scores for name in (FIVE, CROSS)])
        return 100 * float(self.reference.mean() - sample)


def facts(found: Found, name: str) -> dict[str, float]:
    """Return the figures of one scheme, with the keys of `COLUMNS`; a single fold has no interval."""
    runs, scheme = found.runs[name], SCHEMES[name]
    scores = runs.scores
    several = range(scores.shape[1])
    pairs = [weightedtau(scores[:, one], scores[:, other]).statistic for one, other in combinations(several, 2)]
    near = [weightedtau(scores[:, one], found.reference).statistic for one in several]
    figures = {
        "score": 100 * float(scores.mean()),
        "deviation": 100 * float(deviations(runs).mean()),
        "agreement": float(np.mean(pairs)),
        "worst": float(np.min(pairs)),
        "near_reference": float(np.mean(near)),
        "spread": float(np.ptp(near)),
        "ties": float(
            (np.diff(np.sort(scores, axis=0), axis=0) < 1e-9).mean()
        ),  # the order of folds changes the last bits of a mean
        "seconds": runs.seconds,
    }
    if scheme.count > 1:
        share = scheme.test_over_train
        halves = np.array([[half_width("held_out", one.tolist(), share) for one in model] for model in runs.fold_values])
        figures["half_width"] = 100 * float(halves.mean())
        shifted = found.reference - (found.reference.mean() - scores.mean())
        for key, truth in {"holds_reference": found.reference, "holds_shifted": shifted}.items():
            figures[key] = float((np.abs(scores - truth[:, None]) <= halves).mean())
    return figures


def deviations(runs: Runs) -> np.ndarray:
    """Return the standard deviation of each model's score over the runs."""
    return np.asarray(runs.scores.std(axis=1, ddof=1))


def averaged(figures: list[dict[str, float]]) -> dict[str, float]:
    """Return the mean over sets of every figure, the worst of the worst."""
    columns = {key: [one[key] for one in figures] for key in figures[0]}
    return {key: min(of) if key == "worst" else float(np.mean(of)) for key, of in columns.items()}


def table(figures: dict[str, dict[str, dict[str, float]]]) -> Table:
    """Return all figures as a table with one row per set and scheme."""
    shown = Table("set", Column("scheme", no_wrap=True), caption=CAPTION, caption_justify="left")
    for heading, _ in COLUMNS.values():
        shown.add_column(heading, justify="right")
    for name, schemes in figures.items():
        for scheme, found in schemes.items():
            cells = [format(found[key], form) if key in found else "" for key, (_, form) in COLUMNS.items()]
            shown.add_row(name, scheme, *cells, end_section=scheme == TWICE)
    return shown
