"""How much a run computed, and how much was cached."""

from collections.abc import Iterable
from dataclasses import dataclass

from itm.core.types import Outcome


@dataclass(frozen=True)
class Work:
    """How much a run computed and how much was cached. Times are sums over all workers, in seconds."""

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


def work(outcomes: Iterable[Outcome]) -> Work:
    """Count what was computed and what was cached."""
    outcomes = list(outcomes)
    features = [outcome.features for outcome in outcomes if outcome.features]
    scores = [score for outcome in outcomes for score in outcome.scores]
    new = [one for one in features if not one.cached]
    return Work(
        extracted=len(new),
        features_cached=len(features) - len(new),
        scored=sum(not one.cached for one in scores),
        scores_cached=sum(one.cached for one in scores),
        failed=sum(bool(outcome.failures) for outcome in outcomes),
        images=sum(one.rows for one in new),
        extract_seconds=round(sum(one.seconds for one in new), 3),
        score_seconds=round(sum(one.seconds for one in scores if not one.cached), 3),
    )


def counts(outcomes: Iterable[Outcome]) -> str:
    """Return how much was computed and how much was cached, as a sentence."""
    done = work(outcomes)
    return (
        f"extracted {done.extracted} pairs ({done.features_cached} cached), "
        f"computed {done.scored} scores ({done.scores_cached} cached), {done.failed} pairs with failures"
    )
