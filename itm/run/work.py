"""How much a run computed, how much was cached, and how much was lost to failures."""

from collections.abc import Iterable
from dataclasses import dataclass

from itm.core.text import join_names, pluralize
from itm.core.types import Failure, Outcome
from itm.run.plan import LIMITS, Plan


@dataclass(frozen=True)
class Work:
    """How much a run computed and how much was cached. Times are sums over all workers, in seconds.

    `failed` counts the pairs with a failure, also those of models and data sets that failed before any pair began.
    """

    extracted: int = 0
    features_cached: int = 0
    scored: int = 0
    scores_cached: int = 0
    failed: int = 0
    images: int = 0
    extract_seconds: float = 0.0
    score_seconds: float = 0.0

    @property
    def images_per_second(self) -> float | None:
        """Return the images per second of one worker."""
        return self.images / self.extract_seconds if self.extract_seconds else None


def work(planned: Plan, outcomes: Iterable[Outcome]) -> Work:
    """Count what was computed, what was cached and what failed."""
    outcomes = list(outcomes)
    features = [outcome.features for outcome in outcomes if outcome.features]
    scores = [score for outcome in outcomes for score in outcome.scores]
    new = [one for one in features if not one.cached]
    return Work(
        extracted=len(new),
        features_cached=len(features) - len(new),
        scored=sum(not one.cached for one in scores),
        scores_cached=sum(one.cached for one in scores),
        failed=sum(bool(outcome.failures) for outcome in outcomes) + _failed_early(planned),
        images=sum(one.rows for one in new),
        extract_seconds=round(sum(one.seconds for one in new), 3),
        score_seconds=round(sum(one.seconds for one in scores if not one.cached), 3),
    )


def counts(planned: Plan, outcomes: Iterable[Outcome]) -> str:
    """Return how much was computed, cached and lost, as a sentence."""
    done, models, data_sets = work(planned, outcomes), _names(planned), len(planned.data_sets) + len(planned.failed_data)
    text = (
        f"extracted {pluralize(done.extracted, 'pair')} ({done.features_cached:,} cached), "
        f"computed {pluralize(done.scored, 'score')} ({done.scores_cached:,} cached), "
    )
    if not done.failed:
        return f"{text}no failures"
    early = [(_failed_models(planned), "model"), (planned.failed_data, "data set")]
    causes = [pluralize(len(failures), noun) for failures, noun in early if failures]
    why = f", because {join_names(causes, 2)} cannot be used" if causes else ""
    return f"{text}{done.failed:,} of {pluralize(models * data_sets, 'pair')} with failures{why}"


def _failed_models(planned: Plan) -> list[Failure]:
    """Return the models that cannot be used, without those that a limit leaves out on purpose."""
    return [failure for failure in planned.failed_models if failure.step != LIMITS]


def _names(planned: Plan) -> int:
    """Return the number of models that were asked for."""
    return len(planned.models) + len(_failed_models(planned))


def _failed_early(planned: Plan) -> int:
    """Return the number of pairs that never began, because their model or data set failed."""
    return len(_failed_models(planned)) * len(planned.data_sets) + _names(planned) * len(planned.failed_data)
