"""Published ImageNet accuracies of timm's checkpoints."""

from functools import cache
from pathlib import Path

import polars as pl

RESULTS = Path(__file__).with_name("imagenet_results.parquet")


def imagenet_top1(model_name: str) -> float | None:
    """Return the ImageNet top-1 accuracy in percent of timm's checkpoint ``architecture.tag``, or None for other models.

    It is measured at the checkpoint's default input size, which is also used for embeddings.
    """
    return _accuracies().get(model_name)


@cache
def _accuracies() -> dict[str, float]:
    return dict(pl.read_parquet(RESULTS, columns=["model", "top1"]).iter_rows())
