"""Rankings and fine-tuning runs made of numbers alone."""

from itm.core.rankings import DataRanking, Estimate, MetricFacts, RankedModel, Ranking
from itm.core.types import Failure, Protocol, Run, TargetSpec


def a_run(
    model: str, protocol: Protocol, val: float, test: float, seed: int = 0, data: str = "petals", images: int = 200
) -> Run:
    """Return a finished run with these accuracies on so many images each."""
    return Run(
        data,
        "d",
        model,
        "w",
        protocol,
        seed,
        1e-3,
        0.05,
        200,
        100,
        1.0,
        val,
        0.5,
        test,
        0.5,
        48,
        600,
        images,
        images,
        9.0,
        1.0,
        "cpu",
    )


def a_ranking(*models: str) -> Ranking:
    """Return a ranking of models in this order, and one that failed."""
    rows = [RankedModel(m, "ranked", place, place, Estimate(1 / place, 0, 1, ())) for place, m in enumerate(models, start=1)]
    failed = RankedModel("broken", "failed", failures=(Failure("petals", "broken", "zoo", "gone"),))
    target, metric = TargetSpec("classification", ("a", "b")), MetricFacts("accuracy", "accuracy")
    return Ranking((DataRanking("petals", "digits", "d", 9, target, metric, "itm", (*rows, failed)),), (), {})
