"""A search on a small data set: what it trains, how it ends, and how it resumes."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from short_search import MODELS, short_params

from itm.core.errors import DataError, ParamsError
from itm.core.selections import SearchBudget, Selection
from itm.core.types import TargetSpec
from itm.export.choice import choose
from itm.export.folder import export
from itm.finetuning.weights import read_facts
from itm.run import pipeline
from itm.selection.past import past_results
from itm.selection.select import run
from itm.store.selection_file import read_selections

pytestmark = pytest.mark.slow
ENOUGH = SearchBudget(seconds=3600)


def steps(selection: Selection) -> list[tuple[str, float, int, int]]:
    return [(own.model, own.learning_rate, own.seed, own.step) for own in selection.experiments]


def test_the_pick_is_trained_to_its_end_and_its_weights_are_kept(selected, module_store):
    best, recipe = selected.best, selected.recipe
    assert best is not None
    assert recipe is not None
    assert selected.pick in MODELS
    assert (best.model, recipe.learning_rate, recipe.seed, 2) in steps(selected)
    facts = read_facts(Path(selected.weights_file))
    assert facts is not None
    assert facts.test_accuracy == selected.test == best.reached
    assert (recipe.steps, recipe.input_size, recipe.protocol) == (2, (64, 64), "full")
    assert read_selections(module_store) == (selected,)


def test_models_are_predicted_from_their_results(selected):
    assert {row.model for row in selected.models} == set(MODELS)
    assert [row.accuracy for row in selected.models] == sorted((row.accuracy for row in selected.models), reverse=True)
    assert all(0 <= row.low <= row.accuracy <= row.high <= 1 for row in selected.models)
    assert sum(row.chance_best for row in selected.models) == pytest.approx(1)
    first, last = selected.states[0], selected.states[-1]
    assert first.high - first.low > last.high - last.low  # experiments teach something
    assert (last.pick, last.accuracy) == (selected.pick, selected.best.accuracy)
    assert [state.at for state in selected.states] == sorted(state.at for state in selected.states)


def test_no_experiment_is_done_twice(selected):
    assert max(Counter(steps(selected)).values()) == 1
    assert {own.learning_rate for own in selected.experiments} <= {1e-4, 1e-2}


def test_the_same_request_is_answered_from_the_store(selected, module_store):
    again = run(short_params(module_store), module_store, ENOUGH)[0]
    assert steps(again) == steps(selected)
    assert replace(again, spent=0, grid_seconds=0) == replace(selected, spent=0, grid_seconds=0)


class KilledError(Exception):
    pass


def kill_after(experiments: int) -> Callable[[Selection], None]:
    def kill(selection: Selection) -> None:
        if len(selection.experiments) == experiments:
            raise KilledError

    return kill


def test_a_search_that_is_killed_resumes(selected, store):
    for limit in (1, 2, 3):
        with pytest.raises(KilledError):
            run(short_params(store), store, ENOUGH, watch=kill_after(limit))
        (stored,) = read_selections(store)
        assert len(stored.experiments) <= limit
        assert stored.stop == "interrupted"
    found = run(short_params(store), store, ENOUGH)[0]
    assert max(Counter(steps(found)).values()) == 1
    assert len(found.experiments) > 3
    assert found.pick == selected.pick
    assert found.test == selected.test


def test_a_final_run_that_is_killed_goes_on(store):
    sure = SearchBudget(regret=0.99)  # no experiment is needed
    for limit in (1, 2):
        with pytest.raises(KilledError):
            run(short_params(store), store, sure, watch=kill_after(limit))
    found = run(short_params(store), store, sure)[0]
    first, second, *others = steps(found)  # if the first run ends badly, others follow
    assert (first[:3], first[3], second[3]) == (second[:3], 1, 2)
    assert max(Counter([first, second, *others]).values()) == 1
    assert found.test is not None


def test_what_was_fine_tuned_on_another_data_set_changes_the_expectation(selected, module_store, store):
    (own,) = {selection.data_hash for selection in read_selections(module_store)}
    past = past_results(module_store, "full", without="")
    assert {(one.known.model, one.accuracy) for one in past} == {
        (row.model, row.reached) for row in selected.models if row.reached is not None
    }
    assert past_results(module_store, "full", without=own) == past_results(module_store, "lora", without="") == []
    trial = replace(module_store, ranking_name="shapes"), replace(store, ranking_name="shapes")
    with_past, alone = (
        run(short_params(one, data={"sets": ["synthetic:shapes"]}), one, SearchBudget(share=1e-6))[0] for one in trial
    )
    known = past[0].known.model
    assert with_past.of(known).accuracy != alone.of(known).accuracy


def test_a_final_run_that_is_not_finished_can_be_exported(store, tmp_path):
    with pytest.raises(KilledError):
        run(short_params(store), store, SearchBudget(regret=0.99), watch=kill_after(1))
    (killed,) = read_selections(store)
    assert killed.test is None
    choice = choose("digits", store)
    assert choice.row.model == killed.pick
    assert choice.finetuned.trained == 0.5
    export(choice, tmp_path / "exported")
    assert "trained for 50 % of the steps, and not tested" in (tmp_path / "exported" / "README.md").read_text()
    run(short_params(store), store, SearchBudget(regret=0.99))
    assert choose("digits", store).finetuned.is_finished


def test_an_interrupt_ends_the_search_with_the_answer_so_far(store):
    def interrupt(selection: Selection) -> None:
        if selection.experiments:
            raise KeyboardInterrupt

    found = run(short_params(store), store, ENOUGH, watch=interrupt)[0]
    assert found.stop == "interrupted"
    assert len(found.experiments) == 1
    assert found.pick is not None
    assert found.weights_file is None


def test_without_time_for_experiments_the_scores_decide(store):
    pipeline.run(short_params(store), store)
    found = run(short_params(store), store, SearchBudget(seconds=0.001))[0]
    assert (found.stop, found.experiments, found.weights_file) == ("budget", (), None)
    assert found.why == "a budget of 1 s is used up"
    assert found.pick == found.models[0].model
    assert found.states[0].chance_best < 1


def test_a_confident_answer_ends_the_search(store):
    found = run(short_params(store), store, SearchBudget(regret=0.9, confidence=0.9))[0]
    assert found.stop == "confident"
    assert found.why == "the pick is within 90 points of the best with probability 90 %"
    assert found.experiments[0].model == found.states[0].pick  # no experiment but its final run
    assert found.pick in {own.model for own in found.experiments if own.step == 2}
    assert found.weights_file is not None


def test_a_model_that_fails_is_left_out_and_stops_no_other(store):
    def rank(params, store):
        plan, ranking = pipeline.rank(params, store)
        broken = [replace(model, checkpoint=Path("gone")) if model.name == MODELS[2] else model for model in plan.models]
        return replace(plan, models=tuple(broken)), ranking

    found = run(short_params(store), store, SearchBudget(share=0.4), rank=rank)[0]
    assert found.pick in MODELS[:2]
    assert [failure.model for failure in found.failures] == [MODELS[2]]
    assert "gone" in found.failures[0].reason


def test_a_share_of_the_grid_bounds_the_time_of_experiments(store):
    found = run(short_params(store), store, SearchBudget(share=0.3))[0]
    assert found.stop in ("budget", "no time")
    assert sum(own.seconds for own in found.experiments) < found.grid_seconds
    assert found.weights_file is not None


@pytest.mark.usefixtures("selected")
def test_regression_has_no_selection(module_store):
    def rank(params, store):
        plan, ranking = pipeline.rank(params, store)
        (data,) = plan.data_sets
        return replace(plan, data_sets=(replace(data, target=TargetSpec("regression")),)), ranking

    with pytest.raises(DataError, match="`itm select` supports classification, and this is regression"):
        run(short_params(module_store), module_store, ENOUGH, rank=rank)


def test_a_protocol_without_steps_has_no_selection(store):
    params = short_params(store, finetune={"protocols": ["head"]})
    with pytest.raises(ParamsError, match="protocol 'head' takes no steps"):
        run(params, store, ENOUGH)
