"""Fine-tuning of many pairs: the zoo on all data sets, or the first models of a ranking."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from itm.core.confirmations import Confirmed
from itm.core.errors import DataError, ItmError
from itm.core.params import Params
from itm.core.rankings import Ranking
from itm.core.text import compact, join_names, pluralize
from itm.core.types import Outcome
from itm.finetuning.confirm import confirm, pairs_of_first, params_of_first
from itm.finetuning.estimate import log_estimate
from itm.finetuning.runs import cached_runs, finetune
from itm.finetuning.steps import Deadline
from itm.finetuning.table import line, log_below_head, write_runs
from itm.finetuning.weights import weights_path
from itm.report.page import write_page
from itm.run.check import has_own_embeddings
from itm.run.engine import execute
from itm.run.executors import Executor, executor
from itm.run.plan import Plan, plan
from itm.run.stages import Job, PairKey, Stage
from itm.store.confirmed_file import write_confirmed
from itm.store.example_files import read_example_masks
from itm.store.files import exists
from itm.store.layout import Store
from itm.store.ranking_file import read_ranking

MOST_NAMED = 3  # data sets in a message

log = logging.getLogger(__name__)

Result = tuple[tuple[Outcome, ...], tuple[Confirmed, ...]]


@dataclass(frozen=True)
class FinetuneStage(Stage):
    """Fine-tunes a model on a data set. A pair that is not finished at the deadline fails, and resumes the next time."""

    name: ClassVar[str] = "finetune"
    on_device: ClassVar[bool] = True
    deadline: Deadline | None = None

    def compute(self, jobs: Sequence[Job], params: Params, store: Store) -> list[Outcome]:
        own = params.finetune, params.extract, store, self.deadline
        return [replace(job.outcome, runs=finetune(job.model, job.data, *own)) for job in jobs]

    def find_cached(self, jobs: Sequence[Job], params: Params, store: Store) -> dict[PairKey, Outcome]:
        found: dict[PairKey, Outcome] = {}
        for job in jobs:
            try:
                runs = cached_runs(job.model, job.data, params.finetune, params.extract, store)
            except (ItmError, OSError) as error:  # `compute` raises it again
                log.debug("%s on %s cannot be looked up: %s", *job.key, error)
                continue
            if runs:
                found[job.key] = replace(job.outcome, runs=runs)
        return found

    def log_result(self, outcome: Outcome) -> None:
        log.info("%s", line(outcome))


FINETUNE = FinetuneStage()


@dataclass(frozen=True)
class Request:
    """What to fine-tune: the zoo on all data sets, or the `first` models of `ranking`."""

    params: Params
    ranking: Ranking | None = None
    first: int = 0

    def narrow(self, whole: Plan) -> Plan:
        """Return the plan of fine-tuning, whose time limit begins now."""
        chosen = whole.through(FinetuneStage(Deadline.after(self.params.limits.seconds)))
        return replace(chosen, pairs=pairs_of_first(whole, self.ranking, self.first)) if self.ranking else chosen


def request(params: Params, store: Store, first: int | None = None) -> Request:
    """Return the request for the `first` models of the ranking in `store`, or for all that `params` name if None.

    Raises
    ------
    DataError
        If the data sets have embeddings and no images.
    """
    if has_own_embeddings(params.data):
        names = join_names(params.data.sets, MOST_NAMED)
        raise DataError(f"{names}: embeddings cannot be fine-tuned; name the images, such as folder:PATH, and the models.")
    if first is None:
        return Request(params)
    ranking = read_ranking(store)
    return Request(params_of_first(params, ranking, first), ranking, first)


def run(params: Params, store: Store, first: int | None = None, runner: Executor | None = None) -> Result:
    """Fine-tune the zoo on every data set, or the `first` models of the ranking in `store`."""
    chosen = request(params, store, first)
    whole = plan(chosen.params, store)
    log_estimate(chosen.narrow(whole), chosen.params, store)
    planned = chosen.narrow(whole)
    outcomes = execute(planned, runner or executor(params.runner), store, chosen.params)
    return conclude(chosen, planned, outcomes, store)


def conclude(chosen: Request, planned: Plan, outcomes: Iterable[Outcome], store: Store) -> Result:
    """Write the table of runs and, for a ranking, confirmed.json and the page. Log how often full runs are below the head.

    Returns the outcomes, preceded by the models and data sets that failed before any pair, and the confirmations.
    """
    everything = tuple(outcomes) if chosen.ranking else (*_early_failures(planned), *outcomes)
    log_below_head(write_runs(everything, store))
    _log_kept(planned, everything, store)
    if not chosen.ranking:
        return everything, ()
    confirmed = confirm(chosen.ranking, everything)
    write_confirmed(confirmed, store)
    write_page(chosen.ranking, store.reports, confirmed, read_example_masks(chosen.ranking, store))
    return everything, confirmed


def _log_kept(planned: Plan, outcomes: Iterable[Outcome], store: Store) -> None:
    """Log how much space the weights of the best runs take."""
    finished = {(outcome.data, outcome.model) for outcome in outcomes if outcome.runs}
    pairs = [(model, data) for model, data in planned.pairs if (data.name, model.name) in finished]
    files = [path for model, data in pairs if exists(path := weights_path(model, data.name, data.hash, store))]
    if files:
        size = sum(path.stat().st_size for path in files) / 1e6
        log.info(
            "the weights of the best run of %s are kept in %s (%s MB) for `itm export`; finetune.keep_weights turns this off",
            pluralize(len(files), "pair"),
            files[0].parents[1],
            compact(size),
        )


def _early_failures(planned: Plan) -> list[Outcome]:
    models = [
        Outcome(data.name, failure.model, failures=(failure,))
        for data in planned.data_sets
        for failure in planned.failed_models
    ]
    return models + [Outcome(failure.data, "", failures=(failure,)) for failure in planned.failed_data]
