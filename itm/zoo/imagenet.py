"""What is published of timm's own checkpoints: how accurate they are on ImageNet."""

from functools import cache
from pathlib import Path

import polars as pl

RESULTS = Path(__file__).with_name("imagenet_results.parquet")


def imagenet_top1(model_name: str) -> float | None:
    """Return the top-1 accuracy on ImageNet, in per cent, of a checkpoint named ``architecture.tag``.

    It is that at the checkpoint's own input size, at which embeddings are taken too. A model that is not in timm's table has
    none: one's own, or one named by a path.
    """
    return _accuracies().get(model_name)


@cache
def _accuracies() -> dict[str, float]:
    return dict(pl.read_parquet(RESULTS, columns=["model", "top1"]).iter_rows())
