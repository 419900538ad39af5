"""Accuracies of the desk from learning curves."""

import polars as pl

from benchmarks.desk_accuracies import accuracies

FACTS = {"data": "digits", "image_size": 48, "train_images": 60, "val_images": 20, "test_images": 40} | {
    "weights": "w",
    "data_hash": "h",
}


def run(
    model: str, seed: int, rate: float, ends: tuple[float, float], protocol: str = "full", finite: bool = True
) -> list[dict]:
    """Return the marks of a run: a first one that is the same for all, and the end with two accuracies."""
    own = FACTS | {"model": model, "protocol": protocol, "seed": seed, "learning_rate": rate, "finite": finite}
    marks = [(10, 0.5, None), (20, *ends)][: 2 if finite else 1]
    return [
        own | {"step": step, "val_accuracy": val, "val_loss": 1.0, "test_accuracy": test, "test_loss": 1.0, "seconds": 1.0}
        for step, val, test in marks
    ]


def test_an_accuracy_is_the_end_of_the_run_that_is_best_on_validation():
    marks = run("a", 0, 1e-3, (0.7, 0.9)) + run("a", 0, 1e-2, (0.8, 0.6)) + run("a", 1, 1e-2, (0.1, 0.5))
    marks += run("a", 0, 0.1, (0.99, 0.99), finite=False) + run("a", 0, 0.0, (0.6, 0.55), "head")
    found = accuracies(pl.DataFrame(marks))
    assert found.select("protocol", "seed", "learning_rate", "best_step", "test_accuracy").rows() == [
        ("full", 0, 1e-2, 20, 0.6),
        ("full", 1, 1e-2, 20, 0.5),
        ("head", 0, 0.0, 20, 0.55),
    ]


def test_a_pair_without_all_learning_rates_or_seeds_is_left_out():
    marks = run("a", 0, 1e-3, (0.7, 0.9)) + run("a", 0, 1e-2, (0.8, 0.6)) + run("b", 0, 1e-3, (0.9, 0.9))
    assert set(accuracies(pl.DataFrame(marks))["model"]) == {"a"}
    second = run("a", 1, 1e-2, (0.8, 0.6))
    marks += run("c", 0, 1e-3, (0.7, 0.9)) + run("c", 0, 1e-2, (0.8, 0.6))
    assert set(accuracies(pl.DataFrame(marks + second))["model"]) == {"a"}
