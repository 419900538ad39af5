"""Compare a ranking with the last refresh: new, gone, moved and failed models, and whether a new winner is clearly better."""

from collections.abc import Iterable, Iterator

import numpy as np

from itm import scores as registry
from itm.core.keys import content_key
from itm.core.rankings import DataRanking, RankedModel, Ranking
from itm.core.sections import ScoreParams
from itm.core.text import join_names, pluralize
from itm.ranking.batch import splitting
from itm.ranking.intervals import half_width
from itm.refresh.records import DataChange, Lead, Move, Refresh, Standing, Verdict

NAMED = 5  # models with changed weights; the others are counted
NO_EFFECT = {  # options that change no value
    "data": ("sets",),
    "extract": ("batch_size", "decode_workers", "decoded", "resume", "device"),
    "score": ("names", "rank_by"),
}
GONE = "the data set is no longer refreshed"
OPTIONS_CHANGED = "options of the data, the embeddings or the scores changed"
NOTHING_BEFORE = "nothing was ranked in the last refresh"


def options_key(ranking: Ranking) -> str:
    """Return the content key of the options that change values; a refresh records it as `params`.

    The names of data sets, models and further scores, and options of speed, change no value.
    """
    params = ranking.provenance.get("params", {})
    options = {
        section: {name: value for name, value in params.get(section, {}).items() if name not in left_out}
        for section, left_out in NO_EFFECT.items()
    }
    return content_key(options)


def compare(ranking: Ranking, params: ScoreParams, recommended: dict[str, str], last: Refresh | None) -> tuple[DataChange, ...]:
    """Return the changes on every data set of `ranking`, then those on the data sets that only `last` has.

    `recommended` has the recommended model of each data set from now on. `lead` compares the winner with the model that was
    recommended before, or with the winner before if that model is the winner or is no longer ranked; it uses only the values of
    `ranking`. `moved` has ranks among the models that both rankings rank, so a new model does not move the models below it.
    `failed` models were ranked before or are new. If nothing was ranked before, or nothing is ranked now, no model is listed as
    new or failed.
    """
    before = {standing.data: standing for standing in last.standings} if last else {}
    why = (OPTIONS_CHANGED,) if last and options_key(ranking) != last.params else ()
    ranked = {data.data for data in ranking.data_sets}
    found = [_change(data, params, recommended.get(data.data), before.get(data.data), why) for data in ranking.data_sets]
    return (*found, *(_gone(standing, recommended) for name, standing in before.items() if name not in ranked))


def _change(
    data: DataRanking, params: ScoreParams, recommended: str | None, before: Standing | None, why: tuple[str, ...]
) -> DataChange:
    rows = {row.model: row for row in data.rows if row.rank is not None}
    winner = next((row for row in rows.values() if row.rank == 1), None)
    winner_before, recommended_before = (before.winner, before.recommended) if before else (None, None)
    others = [rows[name] for name in (recommended_before, winner_before) if name in rows and name != (winner and winner.model)]
    lead = _lead(winner, others[0], data.rank_by, params) if winner and others else None
    new, gone, moved, failed = _models(data, before)
    return DataChange(
        data=data.data,
        verdict=_verdict(winner, winner_before or recommended_before, lead),
        winner=winner.model if winner else None,
        winner_before=winner_before,
        recommended=recommended,
        recommended_before=recommended_before,
        lead=lead,
        new=new,
        gone=gone,
        moved=moved,
        failed=failed,
        causes=(*why, *_causes(data, before, bool(new or gone))) if before else tuple(_reason(data)),
    )


def _gone(standing: Standing, recommended: dict[str, str]) -> DataChange:
    now = recommended.get(standing.data)
    return DataChange(standing.data, "nothing ranked", None, standing.winner, now, standing.recommended, causes=(GONE,))


def _verdict(winner: RankedModel | None, before: str | None, lead: Lead | None) -> Verdict:
    if winner is None:
        return "nothing ranked"
    if before is None:
        return "first ranking"
    if winner.model == before:
        return "same winner"
    return "within noise" if lead and lead.low <= 0 else "winner changed"


def _lead(winner: RankedModel, other: RankedModel, rank_by: str, params: ScoreParams) -> Lead:
    """Return the lead of the winner. Its interval is from differences on the same rows."""
    assert winner.estimate
    assert other.estimate
    differences = np.subtract(winner.estimate.fold_values, other.estimate.fold_values).tolist()
    half = half_width(registry.get(rank_by).sampling, differences, splitting(params).test_over_train)
    difference = winner.estimate.value - other.estimate.value
    return Lead(winner.model, other.model, difference, difference - half, difference + half)


def _models(
    data: DataRanking, before: Standing | None
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[Move, ...], tuple[str, ...]]:
    """Return the models that are new, gone, moved and failed."""
    known = {place.model: place.rank for place in before.places} if before else {}
    ranked_before = [model for model, rank in sorted(known.items(), key=lambda pair: pair[1] or 0) if rank is not None]
    ranked = [row.model for row in sorted(data.rows, key=lambda row: row.rank or 0) if row.rank is not None]
    gone = tuple(sorted(known.keys() - {row.model for row in data.rows}))
    if not ranked_before or not ranked:
        return (), gone, (), ()
    both = set(ranked) & set(ranked_before)
    places = {model: place for place, model in enumerate((one for one in ranked_before if one in both), start=1)}
    now = enumerate((one for one in ranked if one in both), start=1)
    failed = [row for row in data.rows if row.rank is None and (known.get(row.model) is not None or row.model not in known)]
    return (
        tuple(model for model in ranked if model not in both),
        gone,
        tuple(Move(model, places[model], place) for place, model in now if places[model] != place),
        tuple(row.model for row in failed),
    )


def _causes(data: DataRanking, before: Standing, other_pool: bool) -> Iterator[str]:
    yield from _reason(data)
    if data.rank_by != before.rank_by:
        yield f"ranked by {data.rank_by} instead of {before.rank_by}"
    if not data.reason and before.winner is None:
        yield NOTHING_BEFORE
    if data.hash and before.hash and data.hash != before.hash:
        if data.images == before.images:
            yield f"images, targets, groups or splits changed ({pluralize(data.images, 'image')}, as before)"
        else:
            more = "more" if data.images > before.images else "fewer"
            yield f"{pluralize(abs(data.images - before.images), 'image')} {more} ({data.images:,} now)"
    if changed := list(_other_weights(data.rows, before)):
        yield f"weights of {join_names(changed, NAMED)} changed"
    if other_pool and registry.get(data.rank_by).sampling == "pooled":
        yield f"{data.rank_by} depends on all models that are ranked, and these changed"


def _reason(data: DataRanking) -> Iterator[str]:
    """Yield the reason why nothing could be ranked."""
    if data.reason:
        yield data.reason
    elif data.rows and not any(row.rank for row in data.rows):
        failures = "; ".join(f"{failure.step}: {failure.reason}" for failure in data.rows[0].failures)
        yield f"no model could be ranked; {data.rows[0].model} failed at {failures}"


def _other_weights(rows: Iterable[RankedModel], before: Standing) -> Iterator[str]:
    known = {place.model: place.weights for place in before.places}
    for row in rows:
        if row.weights and known.get(row.model) not in (None, row.weights):
            yield row.model
