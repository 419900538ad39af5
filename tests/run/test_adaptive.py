"""Tasks that are chosen one by one, on every executor of this machine."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from engine_stages import First

from itm.core.params import Params, RunnerParams
from itm.core.types import DataRef, ModelRef, Outcome, TargetSpec
from itm.run.adaptive import Task, pursue
from itm.run.executors import executor
from itm.run.stages import Job

DATA = DataRef("data", "digits", Path("x"), "hash", TargetSpec(), 9)
PROCESSES = pytest.param("processes", marks=[pytest.mark.slow, pytest.mark.integration])


class Names:
    """Gives one task per name, and after each result the names that it calls for."""

    def __init__(self, folder: Path, names: Sequence[str], then: dict[str, list[str]] | None = None) -> None:
        self.stage, self.waiting, self.then = First(folder), list(names), then or {}
        self.outcomes: dict[str, Outcome] = {}
        self.running = self.most = 0

    def next(self) -> Task | None:
        if not self.waiting:
            return None
        self.running += 1
        self.most = max(self.most, self.running)
        model = ModelRef(self.waiting.pop(0))
        return Task(self.stage, Job(model, DATA, Outcome(DATA.name, model.name)))

    def take(self, task: Task, outcome: Outcome) -> None:
        self.running -= 1
        self.outcomes[task.job.model.name] = outcome
        self.waiting += self.then.pop(task.job.model.name, [])


def run(names: Names, store, kind: str = "inline", workers: int = 2) -> dict[str, str]:
    runner = RunnerParams(kind=kind, workers=workers)  # type: ignore[arg-type]
    pursue(names, executor(runner), Params(runner=runner), store)
    return {name: outcome.failures[-1].reason for name, outcome in names.outcomes.items()}


@pytest.mark.parametrize("kind", ["inline", "threads", PROCESSES])
def test_results_lead_to_further_tasks(tmp_path, store, kind):
    names = Names(tmp_path, ["a", "b"], then={"b": ["c"], "c": ["d", "e"]})
    assert run(names, store, kind) == dict.fromkeys("abcde", "passed")


def test_no_more_tasks_are_begun_than_there_are_workers(tmp_path, store):
    names = Names(tmp_path, list("abcdef"))
    run(names, store, "threads", workers=2)
    assert names.most == 2


@pytest.mark.parametrize("kind", ["inline", "threads"])
def test_a_failed_task_stops_no_other(tmp_path, store, kind):
    names = Names(tmp_path, ["known error in first", "error in first", "a"], then={"error in first": ["b"]})
    found = run(names, store, kind)
    assert found == {
        "known error in first": "known error in first; do this.",
        "error in first": "KeyError: 'error in first'",
        "a": "passed",
        "b": "passed",
    }


def test_an_interrupt_is_raised_after_the_results_before_it(tmp_path, store):
    names = Names(tmp_path, ["a", "interrupt in first", "b"])
    with pytest.raises(KeyboardInterrupt):
        run(names, store)
    assert [*names.outcomes] == ["a"]


@pytest.mark.slow
@pytest.mark.integration
def test_a_task_whose_worker_was_lost_is_repeated(tmp_path, store):
    found = run(Names(tmp_path, ["a", "kills one worker in first", "b", "c"]), store, "processes")
    assert found == dict.fromkeys(["a", "kills one worker in first", "b", "c"], "passed")


@pytest.mark.slow
@pytest.mark.integration
def test_a_task_that_takes_every_worker_down_fails(tmp_path, store):
    found = run(Names(tmp_path, ["a", "kills its worker in first", "b"]), store, "processes")
    assert found.pop("kills its worker in first").startswith("its worker was lost 3 times")
    assert found == dict.fromkeys(["a", "b"], "passed")
