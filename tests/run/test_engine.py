"""The engine: which jobs it submits in which order, and what becomes of failures and lost workers."""

from collections.abc import Callable
from pathlib import Path

import pytest
from engine_stages import First, Second

from itm.core.params import Params
from itm.core.types import DataRef, ModelRef, Outcome, TargetSpec
from itm.run.engine import execute
from itm.run.executors import Executor, Inline, Processes, Threads
from itm.run.plan import Plan
from itm.run.stages import Stage
from itm.store.layout import Store

Run = Callable[..., dict[str, list[str]]]


def plan_of(models: tuple[str, ...], stages: tuple[Stage, ...], data_sets: int = 1) -> Plan:
    refs = tuple(ModelRef(name) for name in models)
    data = tuple(DataRef(f"data{n}", "digits", Path("x"), "hash", TargetSpec(), 9) for n in range(data_sets))
    return Plan(data, refs, tuple((model, one) for one in data for model in refs), stages)


@pytest.fixture
def run(tmp_path: Path, store: Store) -> Run:
    """Run models through two stages, and return per model which stages it passed, or why it failed."""

    def call(*models: str, executor: Executor | None = None, together: int = 1, **runner: int) -> dict[str, list[str]]:
        stages = First(tmp_path), Second(tmp_path, together)
        params = Params.model_validate({"runner": runner})
        outcomes = execute(plan_of(models, stages), executor or Inline(), store, params)
        assert [outcome.model for outcome in outcomes] == list(models)
        return {outcome.model: results(outcome) for outcome in outcomes}

    return call


def results(outcome: Outcome) -> list[str]:
    return [f"{one.step}: {one.reason}" if one.reason != "passed" else one.step for one in outcome.failures]


@pytest.fixture
def log(tmp_path: Path) -> Callable[[], list[str]]:
    """Return what was computed, one line per job."""
    return lambda: (tmp_path / "log").read_text().splitlines() if (tmp_path / "log").exists() else []


def cache(tmp_path: Path, *paths: str) -> None:
    for path in paths:
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).touch()


def test_a_pair_is_finished_before_the_next_begins(run, log):
    assert run("a", "b") == {"a": ["first", "second"], "b": ["first", "second"]}
    assert log() == ["first a", "second a", "first b", "second b"]


def test_no_pairs_need_no_executor(store, tmp_path):
    assert execute(plan_of((), (First(tmp_path),)), Inline(), store, Params()) == []


def test_what_is_cached_is_not_computed(run, log, tmp_path):
    cache(tmp_path, "first/a", "second/a", "first/b", "second/c")
    assert run("a", "b", "c") == {model: ["first", "second"] for model in "abc"}
    assert log() == ["second b", "first c", "second c"]


def test_a_damaged_cached_result_is_computed_again(run, log, tmp_path):
    cache(tmp_path, "first/a", "first/b", "second/b", "damaged/a", "damaged/b")
    assert run("a", "b") == {model: ["first", "second"] for model in "ab"}
    assert log() == ["first a", "second a"]  # nobody reads the first result of b


def test_models_are_grouped_once_all_have_reached_a_stage(run, log):
    run("a", "b", "c", together=2)
    assert log() == ["first a", "first b", "second a b", "first c", "second c"]


def test_groups_do_not_mix_data_sets(store, tmp_path, log):
    execute(plan_of(("a", "b", "c"), (First(tmp_path, 2),), data_sets=2), Inline(), store, Params())
    assert log() == ["first a b", "first c", "first a b", "first c"]


def test_a_pair_without_a_result_ends_there_and_the_others_of_its_job_go_on(store, tmp_path, log, caplog):
    stages = First(tmp_path, 3), Second(tmp_path, 3)
    outcomes = execute(plan_of(("a", "no result of first", "b"), stages), Inline(), store, Params())
    assert list(map(results, outcomes)) == [["first", "second"], ["first: no result"], ["first", "second"]]
    assert log() == ["first a no result of first b", "second a b"]
    assert "no result of first on data0: no result" in caplog.text


def test_a_failure_names_its_stage_and_stops_nothing(run, log, caplog):
    found = run("known error in first", "a", "error in second", together=3)
    assert found == {
        "known error in first": ["first: known error in first; do this."],
        "a": ["first", "second: KeyError: 'error in second'"],
        "error in second": ["first", "second: KeyError: 'error in second'"],
    }
    assert log() == ["first known error in first", "first a", "first error in second", "second a error in second"]
    known, unknown = caplog.records
    assert (known.exc_info, known.message) == (None, "known error in first on data0: known error in first; do this.")
    assert unknown.exc_info
    assert unknown.message == "a on data0, error in second on data0: KeyError: 'error in second'"


def test_a_group_goes_on_without_its_failures(run, log):
    found = run("a", "error in first", together=2)
    assert found["a"] == ["first", "second"]
    assert log()[-1] == "second a"


def test_an_interrupt_passes_through(run, log):
    with pytest.raises(KeyboardInterrupt):
        run("a", "interrupt in second", "b")
    assert log() == ["first a", "second a", "first interrupt in second", "second interrupt in second"]


def test_threads_drop_waiting_jobs_after_an_interrupt(tmp_path, store, log):
    plan = plan_of(("interrupt in first", *"abcdefghij"), (First(tmp_path),))
    with pytest.raises(KeyboardInterrupt):
        execute(plan, Threads(1), store, Params())
    assert len(log()) < 4


@pytest.mark.slow
def test_the_work_of_a_lost_worker_is_done_after_all_others(run, log, caplog):
    found = run("kills one worker in first", *"abcdefgh", executor=Processes(2))
    assert all(passed == ["first", "second"] for passed in found.values())
    assert "a worker was lost" in caplog.text
    lines = log()
    again = len(lines) - lines[::-1].index("first kills one worker in first")
    assert lines.count("first kills one worker in first") == 2
    assert len({line.partition(" ")[2] for line in lines[again - 1 :]}) <= 4  # at most what was in the queue


@pytest.mark.slow
def test_a_pair_that_takes_workers_down_fails_alone(run, log):
    found = run("a", "kills its worker in second", "b", executor=Processes(2), together=3, attempts=2)
    assert (found["a"], found["b"]) == (["first", "second"], ["first", "second"])
    passed, failed = found["kills its worker in second"]
    assert passed == "first"
    assert failed.startswith("second: its worker was lost 2 times (BrokenProcessPool: ")
    assert failed.endswith("memory may have run out: use fewer workers or smaller batches.")
    assert log()[-4:] == [
        "second a kills its worker in second b",
        "second a",
        "second kills its worker in second",
        "second b",
    ]
