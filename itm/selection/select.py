"""From data sets and a zoo to a selection: rank, then search on each data set, inside one budget."""

import logging
import time
from collections.abc import Callable
from dataclasses import replace

from itm.core.errors import DataError, ModelError, ParamsError
from itm.core.params import Params, with_overrides
from itm.core.rankings import DataRanking, Ranking
from itm.core.selections import SearchBudget, Selection
from itm.core.types import DataRef, Exclusion
from itm.data.index import read_usable
from itm.finetuning.images import SPLITS
from itm.finetuning.protocols import RATE_FACTORS
from itm.finetuning.steps import learning_rates
from itm.prediction.curve_model import CurveModel
from itm.prediction.expected import belief
from itm.prediction.history import with_history
from itm.prediction.parameters import read_parameters
from itm.prediction.prior import PROBES
from itm.run import pipeline
from itm.run.check import has_own_embeddings
from itm.run.executors import Executor, executor
from itm.run.plan import LIMITS, Plan
from itm.scores import expand
from itm.selection.budget import Clock
from itm.selection.costs import estimate_costs
from itm.selection.evidence import finetuning_params, validation_baseline
from itm.selection.journal import JournalFile
from itm.selection.page import write_selection_page
from itm.selection.past import past_results
from itm.selection.question import Question
from itm.selection.search import Search, Watch
from itm.store.layout import Store
from itm.store.selection_file import stored_selections, write_selections

log = logging.getLogger(__name__)

NOT_SCORED = "the time for scores was used up before its turn; a larger budget includes it"
FOR_SCORES = 0.5  # the largest share of a budget that scores may take
Rank = Callable[[Params, Store], tuple[Plan, Ranking]]


def run(
    params: Params,
    store: Store,
    budget: SearchBudget,
    runner: Executor | None = None,
    watch: Watch | None = None,
    rank: Rank = pipeline.rank,
    began: float | None = None,
) -> tuple[Selection, ...]:
    """Select a model for every data set by the first of `finetune.protocols`, and return the answers.

    Models are ranked first, by `rank`. Then they are fine-tuned where it still matters, by `runner` or the executor that the
    parameters name. `watch` gets the answer whenever a result can have changed it. The budget counts from `began`, a time of
    `time.monotonic`, or from now. Each data set gets an equal part of the time. A data set or a model that fails stops no
    other.

    Raises
    ------
    DataError
        If the data sets have embeddings, or none can be used.
    ParamsError
        If the protocol takes no steps.
    """
    if has_own_embeddings(params.data):
        raise DataError("embeddings cannot be fine-tuned, so no model can be selected; name the images, such as folder:PATH.")
    if (protocol := params.finetune.protocols[0]) not in RATE_FACTORS:
        known = ", ".join(RATE_FACTORS)
        raise ParamsError(f"protocol {protocol!r} takes no steps, so there is nothing to search; use one of {known}.")
    began = time.monotonic() if began is None else began
    planned, ranking = rank(_for_scores(params, budget), store)
    own, parts = _for_search(params), max(len(planned.data_sets), 1)
    budget = replace(budget, seconds=budget.seconds and budget.seconds / parts)
    for_scores = (time.monotonic() - began) / parts
    selections: list[Selection] = []
    problems = [f"{one.data}: {one.reason}" for one in planned.failed_data]
    for data in planned.data_sets:
        ranked = next(part for part in ranking.data_sets if part.data == data.name)
        clock_began = time.monotonic() - for_scores
        try:
            question = ask(data, ranked, planned, own, store, budget)
            excluded = tuple(one for one in ranking.excluded if one.data in ("", data.name))
            question = replace(question, excluded=(*excluded, *question.excluded))
        except (DataError, ModelError) as error:
            log.error("%s: %s", data.name, error)
            problems.append(f"{data.name}: {error}")
            continue
        selections.append(_search(question, clock_began, runner or executor(params.runner), watch))
    if not selections:
        raise DataError("\n".join(problems))
    return tuple(selections)


def _for_scores(params: Params, budget: SearchBudget) -> Params:
    """Return parameters with the scores that predictions need, and a part of the budget for them.

    A model that has no score by then is left out of the search.
    """
    missing = [name for name in PROBES if name not in expand(params.score.names)]
    limits = [one for one in (params.limits.seconds, budget.seconds and FOR_SCORES * budget.seconds) if one is not None]
    score = {"names": (*params.score.names, *missing)}
    return with_overrides(params, limits={"seconds": min(limits, default=None)}, score=score)


def _for_search(params: Params) -> Params:
    """Return the parameters of the experiments, whose weights are kept for the answer."""
    return with_overrides(finetuning_params(params), finetune={"keep_weights": True})


def _search(question: Question, began: float, runner: Executor, watch: Watch | None) -> Selection:
    """Search, and write the answer whenever it changes."""
    data, store = question.data, question.store
    file = JournalFile(store.search_journal(data.name), question.key)
    others = [one for one in stored_selections(store) if one.data != data.name]

    def look(selection: Selection) -> None:
        write_selections([*others, selection], store)
        if watch:
            watch(selection)

    selection = Search(question, Clock(file.read().seconds, began), file, look).run(runner)
    write_selections([*others, selection], store)
    write_selection_page([*others, selection], store)
    return selection


def ask(data: DataRef, ranked: DataRanking, planned: Plan, params: Params, store: Store, budget: SearchBudget) -> Question:
    """Return what a search has to decide.

    Raises
    ------
    DataError
        If the task is not classification, or a split has no images.
    ModelError
        If no model could be ranked.
    """
    if data.target.kind != "classification":
        raise DataError(f"`itm select` supports classification, and this is {data.target.kind}; use `itm rank` with --confirm.")
    usable = read_usable(data)
    images = {split: len(usable.filter(split=split)) for split in SPLITS}
    if missing := [split for split, count in images.items() if not count]:
        raise DataError(f"has no {' and no '.join(missing)} images; give each split a share in data.splits.")
    known = {model.name: model for model in planned.models}
    rows = [row for row in ranked.rows if row.rank is not None and row.model in known]
    failures = [failure for row in ranked.rows if row.rank is None for failure in row.failures]
    late = [Exclusion(own.model, NOT_SCORED, "seconds") for own in failures if own.step == LIMITS]
    if not rows:
        reasons = "; ".join(dict.fromkeys(f"{failure.model}: {failure.reason}" for failure in failures))
        raise ModelError(f"no model is ranked, so none can be selected: {reasons or 'none was named'}")
    models = {row.model: known[row.model] for row in rows}
    protocol = params.finetune.protocols[0]
    targets = usable.filter(split="val")["target"].value_counts()
    fitted = read_parameters().of(protocol)
    # curves are fitted by the grid of their protocol, before it is divided for classes with few images
    factor = RATE_FACTORS[protocol] if protocol in read_parameters().protocols else 1.0
    return Question(
        data=data,
        ranking=replace(ranked, rows=tuple(rows)),
        models=models,
        protocol=protocol,
        rates=learning_rates(params.finetune, images["train"], len(data.target.names), protocol),
        images=images,
        baseline=validation_baseline(dict(targets.iter_rows())),
        belief=belief(rows, with_history(fitted.prior, past_results(store, protocol, without=data.hash))),
        curves=CurveModel(fitted.curves),
        estimated=estimate_costs(rows, models, images, params),
        budget=budget,
        known_rates=tuple(factor * rate for rate in params.finetune.learning_rates),
        params=params,
        store=store,
        excluded=tuple(late),
        failures=tuple(failure for failure in failures if failure.step != LIMITS),
    )
