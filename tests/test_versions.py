"""Versions: versions.yaml has those of the code, and what a component computes stays the same until its version is raised."""

from pathlib import Path

import pytest
import yaml

from benchmarks.versions import PATH, all_versions
from itm.scores import names
from tests.golden import page_text, read_page, read_values, same, score_entry, unversioned_changes

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]


def _keys(stage):
    (keys,) = [param["versions.yaml"] for param in STAGES[stage]["params"] if isinstance(param, dict)]
    return set(keys)


def test_the_file_of_versions_is_in_step_with_the_code():
    assert yaml.safe_load(PATH.read_text(encoding="utf-8")) == all_versions(), "run `make versions`"


def test_stages_depend_on_versions_and_on_no_source_file():
    assert all(dep.startswith("data/") for stage in STAGES.values() for dep in stage.get("deps", []))
    assert all(_keys(stage) <= all_versions().keys() for stage in STAGES)


def test_a_score_decides_the_ranking_alone():
    assert [stage for stage in STAGES if "scores" in _keys(stage)] == ["rank"]


@pytest.mark.parametrize("name", names())
def test_a_score_keeps_its_values_until_its_version_is_raised(name):
    stored, current = read_values().get(name), score_entry(name)
    assert stored is not None, f"{name} has no golden value; run `make golden`"
    assert stored["version"] == current["version"], "run `make golden`"
    assert same(name, stored, current), f"raise the version of {name}, then run `make versions golden`"


def test_no_golden_value_is_left_of_a_score_that_is_gone():
    assert read_values().keys() == set(names()), "run `make golden`"


def test_the_page_stays_as_it_is_until_its_version_is_raised():
    assert page_text() == read_page(), "raise REPORT in itm/report/page.py if that is meant, then run `make versions golden`"


def test_what_changed_without_a_version_is_not_replaced():
    stored = {"knn": {"version": 1, "tall": 0.5}, "itm": {"version": 1, "tall": 0.5}, "gone": {"version": 1, "tall": 0.5}}
    rounded = {"knn": {"version": 1, "tall": 0.5 + 1e-9}, "itm": {"version": 1, "tall": 0.51}}
    assert not list(unversioned_changes(stored, rounded, "<!-- 1 -->\nold", "<!-- 2 -->\nnew"))
    changed = {"knn": {"version": 1, "tall": 0.51}, "itm": {"version": 2, "tall": 0.9}, "new": {"version": 1, "tall": 0.5}}
    (score, page) = unversioned_changes(stored, changed, "<!-- 1 -->\nold", "<!-- 1 -->\nnew")
    assert score.startswith("score knn changed from ")
    assert page == "the page changed; raise REPORT in itm/report/page.py first."
