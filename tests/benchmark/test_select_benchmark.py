"""The benchmark of `itm select` on a small desk that is drawn from its own model."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from benchmarks.select_desk import Desk, read_desk
from benchmarks.select_replay import Bill, grid_seconds, halving, in_order
from benchmarks.select_report import Report
from benchmarks.selecting import measure
from itm.prediction.scale import from_angle
from itm.selection.policy import Experiment

SETS, MODELS, STEPS, IMAGES = ("digits", "shapes", "textures", "trashnet"), 11, 16, 200
RATES = (5e-5, 5e-4, 5e-3)
GAPS = (-0.08, 0.0, -0.6)  # of the end of a run at each rate, as angles


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write curves, accuracies, scores and models whose final accuracies follow their linear probes, with noise."""
    drawn, place = np.random.default_rng(0), tmp_path_factory.mktemp("desk")
    curves, scores, finals = [], [], []
    for data in SETS:
        for number in range(MODELS):
            model, probe = f"m{number:02}", drawn.normal(0.7, 0.2)
            final = 0.2 + probe + drawn.normal(0, 0.08)
            known = {"data": data, "model": model, "weights": model}
            scores += [
                {
                    "data": data,
                    "model": model,
                    "score": name,
                    "value": float(from_angle(probe)),
                    "status": "ok",
                    "reason": None,
                }
                for name in ("linear_probe", "itm")
            ]
            finals.append(known | {"protocol": "full", "test_accuracy": float(from_angle(final))})
            for rate, gap in zip(RATES, GAPS, strict=True):
                for step in range(2, STEPS + 1, 2):
                    value = float(
                        from_angle(final + gap * (2 - step / STEPS) - 0.12 * (1 - step / STEPS) + drawn.normal(0, 0.025))
                    )
                    run = known | {"protocol": "full", "seed": 0, "learning_rate": rate, "step": step, "finite": True}
                    run |= {"val_images": IMAGES, "val_accuracy": value, "seconds": float(number + 1) * step}
                    curves.append(run | {"test_accuracy": float(from_angle(final + gap)) if step == STEPS else None})
    pl.DataFrame(curves).write_parquet(place / "curves.parquet")
    pl.DataFrame(scores).write_parquet(place / "scores.parquet")
    pl.DataFrame(finals).write_csv(place / "accuracies.csv")
    models = {
        "model": [f"m{number:02}" for number in range(MODELS)],
        "parameters": [10**6] * MODELS,
        "batch_norm": [True] * MODELS,
    }
    pl.DataFrame(models).write_csv(place / "models.csv")
    return place


@pytest.fixture(scope="module")
def desk(folder: Path) -> Desk:
    return read_desk(folder)


@pytest.fixture(scope="module")
def report(folder: Path, desk: Desk) -> Report:
    return measure(desk, pl.read_parquet(folder / "scores.parquet"))


def test_desk_has_every_pair_at_every_rate(desk: Desk) -> None:
    assert desk.data_sets == SETS
    assert desk.rates == RATES
    assert sum(pair.best_rate == 1 for pair in desk.pairs) > 0.9 * len(desk.pairs)
    pair = desk.of("shapes")[0]
    assert pair.accuracy(2, 0, 1.0) < pair.accuracy(1, 0, 1.0)
    assert pair.run_seconds == STEPS * 1.0


def test_a_left_out_data_set_is_in_no_fit(desk: Desk) -> None:
    others = desk.without(["shapes"])
    assert "shapes" not in others.measured.data
    assert "shapes" not in others.with_curves.data
    assert len(others.curves.images) == (len(SETS) - 1) * MODELS


def test_going_on_with_a_run_costs_only_what_is_new(desk: Desk) -> None:
    pairs = {pair.model: pair for pair in desk.of("shapes")}
    bill = Bill(pairs)
    for share in (0.5, 0.25, 1.0):
        bill.train(Experiment("m03", 1, 0, share))
    assert bill.seconds == pytest.approx(pairs["m03"].run_seconds)


def test_searches_keep_to_their_budget(report: Report) -> None:
    assert set(report.spent) >= {"select", "halving", "confirm3", "random", "without prior"}
    for method in ("select", "without prior", "halving"):
        assert max(report.spent[method][0.15]) <= 0.15 + 1e-9
        assert max(report.spent[method][0.3]) <= 0.3 + 1e-9


def test_the_search_loses_less_than_chance_and_its_intervals_cover(report: Report) -> None:
    assert report.regret("select", 0.15) < report.regret("random", 0.15)
    assert report.measures("select", 0.0)["coverage_95"] > 0.8
    assert report.measures("select", 0.3)["rmse_points"] < report.measures("without prior", 0.0)["rmse_points"]


def test_the_whole_grid_finds_a_good_model_in_any_order(desk: Desk) -> None:
    pairs = desk.of("trashnet")
    best = max(pair.truth for pair in pairs)
    everything = grid_seconds(pairs)
    assert best - in_order(pairs, [pair.model for pair in pairs], everything).accuracy < 0.05
    assert best - halving(pairs, everything).accuracy < 0.05


def test_the_last_line_has_regret_by_method_and_cost(report: Report) -> None:
    found = json.loads(json.dumps(report.summary()))
    assert set(found["regret_at_cost"]["select"]) == {"0.05", "0.15", "0.3"}
    assert 0 <= found["within_one_point_at_0.15"] <= 1
