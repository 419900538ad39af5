"""The flow of a selection: rank, train where it still matters with one task per rung, write the page, track."""

from prefect import flow

from flows.executor import PrefectExecutor
from flows.rank import ranked
from flows.server import needs_server
from flows.states import attempt, opaque, reason, tracking_problem
from itm.core.errors import ItmError
from itm.core.params import Params
from itm.core.rankings import Ranking
from itm.core.secrets import error_message
from itm.core.selections import SearchBudget, Selection
from itm.run.plan import Plan
from itm.selection import select
from itm.selection.budget import read_budget
from itm.selection.search import Watch
from itm.store.layout import Store
from tasks.track.selected import track_selected

Result = tuple[tuple[Selection, ...], str]


def _without_prefect(
    params: Params,
    store: Store,
    budget: SearchBudget,
    watch: Watch | None = None,
    began: float | None = None,
) -> Result:
    selections = select.run(params, store, budget, watch=watch, began=began)
    stored = f"the selection itself is in {store.selection}"
    return selections, attempt(track_selected, selections, params.tracking, store, stored=stored) if params.track.uri else ""


@needs_server(_without_prefect)
def run(
    params: Params,
    store: Store,
    budget: SearchBudget,
    watch: Watch | None = None,
    began: float | None = None,
) -> Result:
    """Select a model for every data set. Return the answers, and why they were not tracked, if so.

    `watch` gets each answer. It stays in this process, so it is no parameter of the flow.
    """

    @flow(name="select", validate_parameters=False)
    def select_models(params: Params, store: Store, budget: SearchBudget) -> Result:
        runner = PrefectExecutor(params.runner)
        selections = select.run(params, store, budget, runner=runner, watch=watch, rank=ranked, began=began)
        problem = ""
        if params.track.uri:
            state = track_selected(opaque(selections), params.tracking, store, return_state=True)
            problem = tracking_problem(state, f"the selection itself is in {store.selection}")
        return selections, problem

    return select_models(params, store, budget)


def select_after(planned: Plan, ranking: Ranking, params: Params, store: Store) -> list[str]:
    """Select a model in the flow that is running, from a ranking that was just made. Return what went wrong."""
    budget = read_budget(params.refresh.select)
    try:
        selections = select.run(
            params, store, budget, runner=PrefectExecutor(params.runner), rank=lambda *_: (planned, ranking)
        )
    except ItmError as error:
        return [f"not selected: {error_message(error)}"]
    if not params.track.uri:
        return []
    state = track_selected(opaque(selections), params.tracking, store, return_state=True)
    return [] if state.is_completed() else [f"selection not tracked: {reason(state)}"]
