"""The search on one data set: experiments until the budget is used up or the answer is clear, then the pick's final run."""

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from itm.core.selections import SearchState, Selection, Stop, TrainedRung
from itm.core.types import Failure, Outcome
from itm.finetuning.rungs import Wanted, forget_states
from itm.finetuning.steps import Deadline
from itm.run.adaptive import Task, pursue
from itm.run.executors import Executor
from itm.run.stages import Job
from itm.selection.answer import Found, build_selection
from itm.selection.budget import Clock, budget_text
from itm.selection.costs import corrected, grid_seconds
from itm.selection.evidence import Evidence
from itm.selection.final_run import FinalRun
from itm.selection.journal import Journal, JournalFile
from itm.selection.policy import SHARES, Cost, Experiment, Policy, Standing
from itm.selection.question import Question
from itm.selection.stage import RungStage

log = logging.getLogger(__name__)

NO_CHANCE = 0.01  # of being the best; a model below has left the race
MARGIN = 0.85  # of the time left that is planned with: experiments can take longer than those before
NEGLIGIBLE = 0.0005  # expected regret, 0.05 points, below which no experiment is worth its time
Watch = Callable[[Selection], None]


class Search:
    """A source of tasks that asks the policy for each of them."""

    def __init__(self, question: Question, clock: Clock, journal: JournalFile, watch: Watch) -> None:
        self.question, self.clock, self.file, self.watch = question, clock, journal, watch
        self.journal: Journal = journal.read()
        self.evidence = Evidence(question)
        self.failures: dict[str, Failure] = {}
        self.running: dict[Task, tuple[Experiment, float]] = {}  # with the second at which each began
        self.standing: Standing | None = None
        self.stop: Stop | None = None
        self.why = ""
        if self.journal.ended and self.journal.ended[0] == question.budget:
            _, self.stop, self.why = self.journal.ended
        else:
            self.journal = replace(self.journal, final=None)  # the search goes on, and may find another pick

    def run(self, executor: Executor) -> Selection:
        """Search, train the pick to its end, and return the answer. Ctrl-C ends the search with the answer so far."""
        params, store = self.question.params, self.question.store
        try:
            self._look()
            pursue(self, executor, params, store)
            while final := self._final():
                pursue(FinalRun(partial(self.task, final, keep=True), self.take), executor, params, store)
        except KeyboardInterrupt:
            self.stop, self.why = "interrupted", "the search was interrupted; the same command resumes"
        self._save()
        for name, _ in self.journal.left:  # their states are large; a model that comes back begins again
            forget_states(self.question.models[name], self.question.data, store)
        return self.answer()

    def answer(self) -> Selection:
        """Return the answer so far."""
        stop: Stop = self.stop or "interrupted"
        why = self.why or "the search has not ended; the same command resumes"
        about = self.question, self.evidence, self.journal, self.standing, self.failures, self._pick(), self.costs
        return build_selection(Found(*about, self.clock.spent, stop, why))

    @property
    def costs(self) -> dict[str, Cost]:
        """Return the costs as they are known now."""
        return corrected(self.question.estimated, self.journal.experiments, self.question.steps)

    @property
    def grid_seconds(self) -> float:
        """Return the estimated seconds of the full grid."""
        return grid_seconds(self.costs, len(self.question.rates))

    @property
    def seconds_left(self) -> float | None:
        """Return how many seconds of the budget are left, or None without such a limit.

        A share of the grid is a limit of the time of experiments, on however many workers.
        """
        budget, left = self.question.budget, []
        if budget.seconds is not None:
            left.append(budget.seconds - self.clock.spent)
        if budget.share is not None:
            used = sum(own.seconds for own in self.journal.experiments)
            used += sum(self.clock.spent - began for _, began in self.running.values())
            left.append(budget.share * self.grid_seconds - used)
        return min(left, default=None)

    def next(self) -> Task | None:
        """Return the next experiment of the policy as a task, or None when the search stops."""
        if self.stop or not self.standing:
            return None
        if reason := self._reason_to_stop(self.standing):
            return self._end(*reason)
        observed, left, ended = self.evidence.observations(), self.seconds_left, self.evidence.ended
        running = [experiment for experiment, _ in self.running.values()]
        found = self._policy.next(observed, running, None if left is None else MARGIN * left, ended, self.failures)
        if found:
            final = self._policy.final(observed, self.failures)
            return self.task(found[0], reserve=self._missing(final) if found[0] != final else 0.0)
        if left is None or self._policy.next(observed, running, None, ended, self.failures) is None:
            return self._end("no gain", "every run is finished")
        return self._end("no time", "no further experiment fits into the budget, beside the final run of the pick")

    def _reason_to_stop(self, standing: Standing) -> tuple[Stop, str] | None:
        left, budget = self.seconds_left, self.question.budget
        if left is not None and left <= 0:
            return "budget", f"{budget_text(replace(budget, regret=None))} is used up"
        if budget.regret is not None and standing.chance_within(budget.regret) >= budget.confidence:
            return "confident", f"the pick is {budget_text(replace(budget, seconds=None, share=None))}"
        return ("no gain", "no experiment is likely to change the answer") if standing.regret < NEGLIGIBLE else None

    def take(self, task: Task, outcome: Outcome) -> None:
        """Take the result of an experiment. A model that fails leaves the search; one that met the deadline does not."""
        experiment, began = self.running.pop(task)
        name, now, wanted = task.job.model.name, self.clock.spent, self._wanted(experiment)
        self.evidence.update(name, task.job.model)
        assert isinstance(task.stage, RungStage)
        deadline = task.stage.deadline
        if outcome.failures and (deadline is None or time.time() < deadline.at):
            self.failures[name] = outcome.failures[-1]
        rung = self.evidence.run((name, experiment.rate, experiment.seed))
        mark = rung.marks[-1] if rung and rung.finite and rung.marks else None
        step = rung.step if rung else 0
        known = TrainedRung(
            round(now, 2), name, wanted.learning_rate, wanted.seed, step, mark.accuracy if mark else None, round(now - began, 2)
        )
        self.journal = replace(self.journal, experiments=(*self.journal.experiments, known))
        self._look()

    def task(self, experiment: Experiment, reserve: float = 0.0, keep: bool = False) -> Task:
        """Begin an experiment, which ends so many seconds before the budget of time does. With `keep`, it can be exported."""
        model = self.question.models[experiment.model]
        left = self.seconds_left if self.question.budget.seconds is not None else None
        wanted = replace(self._wanted(experiment), keep=keep)
        stage = RungStage(wanted, None if left is None else Deadline.after(max(left - reserve, 0.0)))
        task = Task(stage, Job(model, self.question.data, Outcome(self.question.data.name, model.name)))
        self.running[task] = experiment, self.clock.spent
        return task

    @property
    def _policy(self) -> Policy:
        return self.question.policy(self.costs)

    def _wanted(self, experiment: Experiment) -> Wanted:
        own = self.question
        seed = own.params.finetune.seed + experiment.seed
        return Wanted(own.protocol, own.rates[experiment.rate], seed, own.step(experiment.share))

    def _end(self, stop: Stop, why: str) -> Task | None:
        """End the search for experiments, once none is running. There is no next task."""
        if not self.running:
            self.stop, self.why = stop, why
            self.journal = replace(self.journal, ended=(self.question.budget, stop, why))
            self._save()
            log.info("%s: the search ends: %s", self.question.data.name, why)
        return None

    def _final(self) -> Experiment | None:
        """Return the run that trains the pick to its end, or None if it is trained or there is no time.

        The policy has kept time for the first final run. It is trained share by share, so that a killed one resumes, and it is
        not left for another. Its result can change the pick; another one needs time left.
        """
        able = [name for name in self.question.models if name not in self.failures]
        if not able:
            self.stop, self.why = "no model", "every model failed"
            return None
        begun = self.journal.final
        is_open = begun is not None and begun not in self.evidence.ended and begun[0] not in self.failures
        final = (
            Experiment(*begun, 1.0) if begun and is_open else self._policy.final(self.evidence.observations(), self.failures)
        )
        run, left = (final.model, final.rate, final.seed), self.seconds_left
        if run in self.evidence.ended:
            return None
        if left is not None and (left <= 0 or (begun and not is_open and self._missing(final) > left)):
            return None
        self.journal = replace(self.journal, final=run)
        self._save()
        rung = self.evidence.run(run)
        step = rung.step if rung else 0
        return replace(final, share=next(share for share in SHARES if self.question.step(share) > step))

    def _missing(self, final: Experiment) -> float:
        """Return the estimated seconds that a run still needs to its end."""
        rung, cost = self.evidence.run((final.model, final.rate, final.seed)), self.costs[final.model]
        return cost.run * (1 - rung.step / self.question.steps) if rung else cost.start + cost.run

    def _pick(self) -> Experiment | None:
        """Return the run of the pick. A search that has ended picks a model that it has trained to the end, if there is one."""
        if self.standing is None:
            return None
        final = self._policy.final(self.evidence.observations(), self.failures)
        ended = self.evidence.ended
        if (final.model, final.rate, final.seed) in ended or self.stop in (None, "interrupted"):
            return final
        trained = [run for run in ended if run[0] not in self.failures]
        return self._policy.final(self.evidence.observations(), self.failures, trained) if trained else final

    def _look(self) -> None:
        """Update the answer, the journal and whoever watches."""
        observed = self.evidence.observations()
        if len(self.failures) == len(self.question.models):
            self.standing = None
            return
        policy = self._policy
        best = policy.next(observed, (), None, self.evidence.ended, self.failures)
        self.standing = standing = policy.standing(observed, best[1] if best else 0.0, self.failures)
        pick = next(own for own in standing.predictions if own.model == standing.pick)
        chances = {own.model: own.chance_best for own in standing.predictions}
        now = round(self.clock.spent, 2)
        state = SearchState(
            at=now,
            pick=pick.model,
            accuracy=pick.accuracy,
            low=pick.low,
            high=pick.high,
            chance_best=pick.chance_best,
            regret=standing.regret,
            gain=standing.gain,
            candidates=sum(chance >= NO_CHANCE for chance in chances.values()),
        )
        before = dict(self.journal.left)
        gone = {name: before.get(name, now) for name in self.question.models if chances.get(name, 0.0) < NO_CHANCE}
        if [replace(own, at=now) for own in self.journal.states[-1:]] != [state]:
            self.journal = replace(self.journal, states=(*self.journal.states, state), left=tuple(gone.items()))
        self._save()
        self.watch(self.answer())

    def _save(self) -> None:
        self.journal = replace(self.journal, seconds=round(self.clock.spent, 2))
        self.file.write(self.journal)
