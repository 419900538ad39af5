"""Confirmation of a ranking: are its first models still in the same order after fine-tuning?

The pick is the model with the best validation accuracy. Test accuracy is only reported, so it remains an unbiased estimate.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from itm.core.errors import ParamsError
from itm.core.params import Params
from itm.core.rankings import DataRanking, RankedModel, Ranking
from itm.core.sections import FinetuneParams
from itm.core.types import Outcome, Run
from itm.run.plan import Plan
from itm.run.stages import Pair
from itm.store.files import write_json
from itm.store.layout import Store

NOISE = 1.96  # standard errors of a difference that chance exceeds once in twenty times


@dataclass(frozen=True)
class Candidate:
    """A ranked model that was fine-tuned to confirm the ranking: means over seeds, or the reason of a failure.

    `val_error` is the standard error of the validation accuracy, over images and seeds; `test_sd` the spread over seeds.
    """

    model: str
    rank: int
    score: float
    seeds: int = 0
    learning_rate: float | None = None
    val_accuracy: float | None = None
    val_error: float | None = None
    test_accuracy: float | None = None
    test_sd: float | None = None
    head_test_accuracy: float | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Confirmed:
    """Comparison of the first models of a ranking after fine-tuning on one data set.

    `pick` has the best validation accuracy. It is compared with `other`: the `first` of the ranking, or the next best if
    that is the pick. `lead` and `noise` are shares of validation images. A lead within noise may be chance.
    """

    data: str
    rank_by: str
    candidates: tuple[Candidate, ...]
    first: str
    pick: str | None = None
    other: str | None = None
    lead: float | None = None
    noise: float | None = None
    within_noise: bool | None = None


def params_of_first(params: Params, ranking: Ranking, first: int) -> Params:
    """Return the parameters of fine-tuning the first models of every data set, by both protocols.

    Raises
    ------
    ParamsError
        If `first` is less than 1, or no model is ranked.
    """
    if first < 1:
        raise ParamsError(f"--confirm is {first}; it says how many models to fine-tune, so 1 or more (3 is usual).")
    names = dict.fromkeys(row.model for data in ranking.data_sets for row in first_of(data, first))
    if not names:
        raise ParamsError("no model is ranked, so there is none to confirm; see above why they failed.")
    both = FinetuneParams.model_validate(params.finetune.model_dump() | {"protocols": ("full", "head")})
    return params.model_copy(update={"zoo": params.zoo.model_copy(update={"models": tuple(names)}), "finetune": both})


def first_of(data: DataRanking, first: int) -> list[RankedModel]:
    """Return the first ranked models of a data set, best first."""
    return [row for row in data.rows if row.rank is not None and row.rank <= first]


def pairs_of_first(planned: Plan, ranking: Ranking, first: int) -> tuple[Pair, ...]:
    """Return the pairs to fine-tune, in the order of the ranking."""
    models = {model.name: model for model in planned.models}
    data_sets = {data.name: data for data in planned.data_sets}
    return tuple(
        (models[row.model], data_sets[own.data])
        for own in ranking.data_sets
        for row in first_of(own, first)
        if row.model in models and own.data in data_sets
    )


def confirm(ranking: Ranking, finetuned: Iterable[Outcome]) -> tuple[Confirmed, ...]:
    """Compare the fine-tuned models of every data set that has some."""
    pairs = {(pair.data, pair.model): pair for pair in finetuned}
    found = []
    for data in ranking.data_sets:
        rows = [row for row in data.rows if (data.data, row.model) in pairs and row.estimate]
        candidates = [_candidate(row, pairs[data.data, row.model]) for row in rows]
        if candidates:
            found.append(_confirmed(data.data, data.rank_by, candidates))
    return tuple(found)


def write_confirmed(confirmed: Sequence[Confirmed], store: Store) -> None:
    write_json(store.confirmed, {"version": 1, "data_sets": [asdict(one) for one in confirmed]})


def _candidate(row: RankedModel, pair: Outcome) -> Candidate:
    assert row.estimate is not None
    assert row.rank is not None
    if pair.failures:
        return Candidate(row.model, row.rank, row.estimate.value, reason=pair.reason)
    full, head = ([run for run in pair.runs if run.protocol == name] for name in ("full", "head"))
    tests = [run.test_accuracy for run in full]
    return Candidate(
        model=row.model,
        rank=row.rank,
        score=row.estimate.value,
        seeds=len(full),
        learning_rate=full[0].learning_rate,
        val_accuracy=float(np.mean([run.val_accuracy for run in full])),
        val_error=_error(full),
        test_accuracy=float(np.mean(tests)),
        test_sd=float(np.std(tests, ddof=1)) if len(tests) > 1 else None,
        head_test_accuracy=float(np.mean([run.test_accuracy for run in head])) if head else None,
    )


def _error(runs: Sequence[Run]) -> float:
    """Return the standard error of a mean validation accuracy, over images and seeds."""
    accuracies = np.array([run.val_accuracy for run in runs])
    share = (accuracies.mean() * runs[0].val_images + 1) / (runs[0].val_images + 2)  # not 0 or 1, even if all are right
    images = share * (1 - share) / runs[0].val_images
    seeds = accuracies.var(ddof=1) / len(runs) if len(runs) > 1 else 0.0
    return float(np.sqrt(images + seeds))


def _confirmed(data: str, rank_by: str, candidates: list[Candidate]) -> Confirmed:
    first = min(candidates, key=lambda row: row.rank)
    done = [row for row in candidates if row.val_accuracy is not None]
    done.sort(key=lambda row: (-(row.val_accuracy or 0), row.rank))
    if not done:
        return Confirmed(data, rank_by, tuple(candidates), first.model)
    pick, rest = done[0], done[1:]
    other = next(iter(rest), None) if pick is first else next((row for row in rest if row is first), None)
    lead = noise = None
    if other is not None:
        lead = (pick.val_accuracy or 0) - (other.val_accuracy or 0)
        noise = NOISE * float(np.hypot(pick.val_error or 0, other.val_error or 0))
    within = None if lead is None or noise is None else lead <= noise
    name = other.model if other else None
    return Confirmed(data, rank_by, tuple(candidates), first.model, pick.model, name, lead, noise, within)
