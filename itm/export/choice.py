"""Which model of which ranking is exported, and how it is built."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from itm.core.errors import ModelError, ParamsError, did_you_mean
from itm.core.rankings import DataRanking, RankedModel, Ranking
from itm.core.sections import ZooParams
from itm.core.text import join_names
from itm.core.types import ModelRef
from itm.finetuning.table import finetuned_accuracies
from itm.finetuning.weights import FinetunedWeights, read_facts, weights_path
from itm.kinds import get_kind
from itm.ranking.recommend import read_recommended
from itm.report.confirmation import of_data
from itm.store.confirmed_file import read_confirmed
from itm.store.find_ranking import find_ranking
from itm.store.layout import Store
from itm.store.selection_file import selection_of, stored_selections
from itm.zoo import load
from itm.zoo.resolve import resolve

log = logging.getLogger(__name__)

MOST_NAMES = 10  # in a message


@dataclass(frozen=True)
class Choice:
    """A ranked model, and its fine-tuned weights if they are kept. `weights` is their file."""

    data: DataRanking
    row: RankedModel
    model: ModelRef
    weights: Path
    finetuned: FinetunedWeights | None

    @property
    def labels(self) -> tuple[str, ...]:
        """Return the classes of the outputs; there are none if the outputs are embeddings."""
        return self.finetuned.names if self.finetuned else ()


def choose(
    data: str, store: Store, ranking: str | None = None, model: str | None = None, code: Iterable[Path] | None = None
) -> Choice:
    """Return the model that was selected for a data set, or else the recommended one, or its ranked model `model`.

    `data` is the name or the source of the data set, and `ranking` the name of a ranking, as `find_ranking` takes them. A trial
    recommends its first model. Code of a factory is allowed if it is in `code`, or else was allowed when the model was ranked.

    Raises
    ------
    ParamsError
        If no ranking or several trials have the data set, or the model is not in the ranking.
    StoreError
        If a file of the ranking is damaged.
    ModelError
        If the model cannot be found any more, or its weights are not those that were ranked.
    """
    found, whole, own = find_ranking(data, store, ranking)
    return choose_from(whole, own, found, model, code)


def choose_from(
    whole: Ranking, data: DataRanking, store: Store, model: str | None = None, code: Iterable[Path] | None = None
) -> Choice:
    """Return the model to export of a data set of a ranking that was read from `store`."""
    if data.source.startswith("embeddings:"):
        raise ModelError(f"{data.data}: embeddings of your own have no model to load; load the model that computed them.")
    row = _row(data, model, _selected(data, store) or read_recommended(store).get(data.data))
    reference = _resolve(whole, row, code)
    weights = weights_path(reference, data.data, data.hash, store)
    choice = Choice(data, row, reference, weights, read_facts(weights))
    _log_finetuning(choice, whole, store, chosen=model is not None)
    return choice


def _selected(data: DataRanking, store: Store) -> str | None:
    """Return the pick of `itm select` for these images, if its weights are those that were ranked."""
    selection = selection_of(data.data, data.hash, stored_selections(store))
    best = selection.best if selection else None
    weights = {row.model: row.weights for row in data.rows if row.rank is not None}
    return best.model if best and weights.get(best.model) == best.weights else None


def _resolve(whole: Ranking, row: RankedModel, code: Iterable[Path] | None) -> ModelRef:
    """Return how the model of a row is built. It is checked that its weights are those that were ranked."""
    values = whole.provenance.get("params", {}).get("zoo", {}) | {"models": (row.model,), "variants": ()}
    try:
        zoo = ZooParams.model_validate(values if code is None else values | {"code": tuple(code)})
    except ValidationError as error:
        raise ModelError(f"{row.model}: the ranking is from another version; rank again, then export.") from error
    models, failures = resolve(zoo)
    model = next((one for one in models if one.name == row.model), None)
    if model is None:
        reasons = " ".join(failure.reason for failure in failures) or "the zoo file does not have it any more."
        raise ModelError(f"{row.model}: was ranked, but cannot be found now: {reasons}")
    if load.weights_hash(model) != row.weights:
        raise ModelError(f"{row.model}: its weight file has changed since it was ranked; rank again, then export.")
    return model


def _row(data: DataRanking, model: str | None, recommended: str | None) -> RankedModel:
    ranked = {row.model: row for row in data.rows if row.rank is not None}
    if model is None:
        name = recommended if recommended in ranked else next(iter(ranked), None)
        if name is None:
            raise ParamsError(f"{data.data}: no model is ranked, so there is none to export; `itm show` says why they failed.")
        return ranked[name]
    if model not in ranked:
        failed = next((row for row in data.rows if row.model == model), None)
        if failed:
            reasons = "; ".join(failure.reason for failure in failed.failures)
            raise ParamsError(f"{model}: failed on {data.data}, so it cannot be exported: {reasons}")
        raise ParamsError(
            f"{data.data}: {model!r} is not ranked{did_you_mean(model, ranked)} Ranked: {join_names([*ranked], MOST_NAMES)}."
        )
    return ranked[model]


def _log_finetuning(choice: Choice, whole: Ranking, store: Store, chosen: bool) -> None:
    """Log what a user may not expect: fine-tuned weights that are not kept, and another model that fine-tuning prefers."""
    name, confirmed = choice.row.model, of_data(choice.data.data, read_confirmed(whole, store))
    has_weights = get_kind(choice.data.target.kind).level == "image"  # those of maps are never kept
    if has_weights and choice.finetuned is None and name in finetuned_accuracies(choice.data, store, head=False):
        log.warning(
            "%s was fine-tuned on %s, but its weights are not in this store, so this is the model before fine-tuning; "
            "fine-tune it with --resume always to train again and keep them",
            name,
            choice.data.data,
        )
    if choice.finetuned and not choice.finetuned.is_finished:
        share = 100 * choice.finetuned.trained
        log.warning("%s was fine-tuned for %.0f %% of the steps only; a search with a larger budget finishes it", name, share)
    if confirmed and not chosen and confirmed.pick and confirmed.pick != name:
        better = confirmed.pick
        log.warning("%s is recommended, but %s is better after fine-tuning; add --model %s to export it", name, better, better)
