"""The benchmark of histories: `python -m benchmarks.select_tables`."""

import json
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from benchmarks import select_tables
from benchmarks.cell_choice import expected_improvement, measure, observe
from benchmarks.history_tables import PublishedHistory, read_histories
from tests.benchmark.histories import DATA, FACTS, KINDS, accuracies, history

SHARED = Path(__file__).parents[2].parent / "shared" / "facts"
TABLE = PublishedHistory("Small", history(), tuple(f"{kind}{number}" for number, kind in enumerate(KINDS)), FACTS)


def test_the_history_is_better_than_random_and_cells_help() -> None:
    history_regret = select_tables.replay(TABLE).mean(axis=0)
    assert (history_regret < select_tables.random_regret(TABLE).mean(axis=0)).all()
    assert history_regret[-1] <= history_regret[0]


def test_the_left_out_data_set_changes_nothing_before_a_cell_is_measured() -> None:
    values = accuracies()
    values[:, 2] = values[::-1, 2]
    changed = PublishedHistory("Small", history(values), TABLE.data_sets, FACTS)
    picks = []
    for own in (TABLE, changed):
        regret = select_tables.history_regret(own, 2, (), select_tables.SHAPE, (0,))[0] / 100
        picks.append(int(np.argmin(np.abs(own.history.accuracies[:, 2] - own.history.accuracies[:, 2].max() + regret))))
    assert picks[0] == picks[1]


def test_the_report_names_every_method_and_the_json_line_has_the_regret(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(select_tables, "read_histories", lambda _: [TABLE])
    monkeypatch.setattr("sys.argv", ["select_tables", "somewhere"])
    select_tables.main()
    lines = capsys.readouterr().out.splitlines()
    assert all(any(line.startswith(f"| {name} |") for line in lines) for name in ("history", "target-blind", "random"))
    figures = json.loads(lines[-1])
    assert figures["small_regret_k3"] == pytest.approx(select_tables.replay(TABLE)[:, 2].mean(), abs=0.006)


def test_random_regret_is_that_of_all_choices() -> None:
    own = accuracies()[:6, :1]
    table = PublishedHistory("Six", type(TABLE.history)(TABLE.history.models[:6], DATA[:1], own), ("one",), {})
    expected = np.mean([own.max() - max(choice) for choice in combinations(own[:, 0], 3)])
    assert select_tables.random_regret(table)[0, select_tables.CELLS.index(3)] == pytest.approx(100 * expected)


def test_the_nested_replay_has_a_regret_for_each_data_set() -> None:
    few = select_tables.without(TABLE.history, 0, 1, 2, 3)
    regret = select_tables.nested_replay(PublishedHistory("Few", few, TABLE.data_sets[4:], FACTS), select_tables.NESTED[:2])
    assert regret.shape == (4, len(select_tables.CELLS))
    assert (regret >= 0).all()


def test_cells_are_distinct_and_the_first_has_the_greatest_expected_improvement() -> None:
    mean, covariance = np.array([0.0, -0.1, -1.0]), np.diag([0.01, 1.0, 0.5])
    seen = measure(mean, covariance, np.array([0.0, -1.0, 2.0]), 3)
    assert seen[0] == 1
    assert sorted(seen) == [0, 1, 2]
    assert (expected_improvement(mean, covariance) > 0).all()


def test_a_failed_run_moves_other_models_at_most_as_two_deviations_would() -> None:
    mean, covariance = np.zeros(2), np.array([[1.0, 0.5], [0.5, 1.0]])
    two, far = (observe(mean, covariance, 0, value)[0] for value in (-2.0, -50.0))
    assert np.allclose(two, far)
    assert observe(mean, covariance, 0, 1.5)[0][0] == pytest.approx(1.5, abs=0.01)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the published numbers, ../shared/facts, are not available")
def test_the_published_tables_are_read_with_facts() -> None:
    shift, graph = read_histories(SHARED)
    assert shift.history.accuracies.shape == (291, 19)
    assert graph.history.accuracies.shape == (180, 12)
    assert all(own.classes and own.others for table in (shift, graph) for own in table.history.data)
    assert select_tables.blind_regret(shift)[:, 2].mean() == pytest.approx(7.0, abs=0.05)
    assert select_tables.blind_regret(graph)[:, 2].mean() == pytest.approx(1.7, abs=0.05)
    assert select_tables.replay(graph, cells=(3,)).mean() <= 1.2
