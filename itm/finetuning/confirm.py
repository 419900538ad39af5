"""Confirmation of a ranking: are its first models still in the same order after fine-tuning?

The leader is the model with the best validation accuracy. Test accuracy does not choose, so it remains an unbiased estimate. It
can only show that validation was not enough to decide.
"""

from collections.abc import Iterable
from dataclasses import replace

from itm.core.confirmations import Accuracy, Candidate, Confirmed
from itm.core.errors import ParamsError
from itm.core.params import Params
from itm.core.rankings import DataRanking, RankedModel, Ranking
from itm.core.sections import FinetuneParams
from itm.core.types import Outcome, Run
from itm.finetuning.accuracy import accuracy, chance_of_lead
from itm.kinds import get_kind
from itm.run.plan import Plan
from itm.run.stages import Pair


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
            found.append(_confirmed(data, candidates))
    return tuple(found)


def _candidate(row: RankedModel, pair: Outcome) -> Candidate:
    assert row.estimate is not None
    assert row.rank is not None
    if pair.failures:
        return Candidate(row.model, row.rank, row.estimate.value, row.weights, reason=pair.reason)
    full, head = ([run for run in pair.runs if run.protocol == name] for name in ("full", "head"))
    return Candidate(
        model=row.model,
        rank=row.rank,
        score=row.estimate.value,
        weights=row.weights,
        seeds=len(full),
        learning_rate=full[0].learning_rate,
        val=accuracy([run.val_accuracy for run in full], full[0].val_images, full[0].metric),
        test=_test(full),
        head_test=_test(head) if head else None,
    )


def _test(runs: list[Run]) -> Accuracy:
    return accuracy([run.test_accuracy for run in runs], runs[0].test_images, runs[0].metric)


def _confirmed(data: DataRanking, candidates: list[Candidate]) -> Confirmed:
    first = min(candidates, key=lambda row: row.rank)
    measure = get_kind(data.target.kind).finetuned_metric.label
    found = Confirmed(data.data, data.hash, data.rank_by, tuple(candidates), first.model, metric=measure)
    done = sorted(((row.val, row.test, row) for row in candidates if row.val and row.test), key=lambda one: -one[0].value)
    if not done:
        return found
    (best, tested, leader), rest = done[0], done[1:]
    if not rest:
        return replace(found, leader=leader.model)
    close = [row.model for val, _, row in rest if best.value - val.value <= chance_of_lead(best, val)]
    better = [(test, row) for _, test, row in rest if test.value - tested.value > chance_of_lead(test, tested)]
    favoured = max(better, key=lambda one: one[0].value)[1].model if better else None
    next_best, _, other = rest[0]
    return replace(
        found,
        leader=leader.model,
        other=other.model,
        lead=best.value - next_best.value,
        noise=chance_of_lead(best, next_best),
        tied=(leader.model, *close) if close else (),
        test_favours=favoured,
    )
