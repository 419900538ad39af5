"""Whether the first of a ranking stays first when the next ones are fine-tuned too.

The pick is the model of the best validation accuracy; test images are only reported, so that their accuracy stays an honest
forecast.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict

import numpy as np

from itm.core.errors import ParamsError
from itm.core.params import Params
from itm.core.rankings import DataRanking, RankedModel, Ranking
from itm.core.sections import FinetuneParams
from itm.core.types import DataRef, ModelRef
from itm.finetune.records import Candidate, Confirmed, Finetuned, Run
from itm.run.plan import Plan
from itm.store.files import write_json
from itm.store.layout import Store

NOISE = 1.96  # standard errors of a difference that chance exceeds once in twenty times


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


def pairs_of_first(planned: Plan, ranking: Ranking, first: int) -> list[tuple[ModelRef, DataRef]]:
    """Return the pairs to fine-tune, in the order of the ranking."""
    models = {model.name: model for model in planned.models}
    data_sets = {data.name: data for data in planned.data_sets}
    return [
        (models[row.model], data_sets[own.data])
        for own in ranking.data_sets
        for row in first_of(own, first)
        if row.model in models and own.data in data_sets
    ]


def confirm(ranking: Ranking, finetuned: Iterable[Finetuned]) -> tuple[Confirmed, ...]:
    """Return for every data set that has fine-tuned models what became of the ranking's first."""
    pairs = {(pair.data, pair.model): pair for pair in finetuned}
    found = []
    for data in ranking.data_sets:
        rows = [row for row in data.rows if (data.data, row.model) in pairs and row.estimate]
        candidates = [_candidate(row, pairs[data.data, row.model]) for row in rows]
        if candidates:
            found.append(_confirmed(data.data, ranking.rank_by, candidates))
    return tuple(found)


def write_confirmed(confirmed: Sequence[Confirmed], store: Store) -> None:
    """Write confirmed.json beside ranking.json."""
    write_json(store.confirmed, {"version": 1, "data_sets": [asdict(one) for one in confirmed]})


def _candidate(row: RankedModel, pair: Finetuned) -> Candidate:
    assert row.estimate is not None
    assert row.rank is not None
    if pair.failure:
        return Candidate(row.model, row.rank, row.estimate.value, reason=f"{pair.failure.step}: {pair.failure.reason}")
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
    """Return the standard error of a mean validation accuracy: which images there are, and which seeds."""
    accuracies = np.array([run.val_accuracy for run in runs])
    share = (accuracies.mean() * runs[0].val_images + 1) / (runs[0].val_images + 2)  # of all right, too, another draw may miss
    images = share * (1 - share) / runs[0].val_images
    seeds = accuracies.var(ddof=1) / len(runs) if len(runs) > 1 else 0.0
    return float(np.sqrt(images + seeds))


def _confirmed(data: str, rank_by: str, candidates: list[Candidate]) -> Confirmed:
    """Return the pick and how it compares with the ranking's first, or, where that is the pick, with the next best."""
    first = min(candidates, key=lambda row: row.rank)
    done = sorted(
        (row for row in candidates if row.val_accuracy is not None), key=lambda row: (-(row.val_accuracy or 0), row.rank)
    )
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
