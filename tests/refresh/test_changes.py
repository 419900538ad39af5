"""What changed since the last ranking: winners within and beyond noise, and models that came, went, moved or failed."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itm.core.rankings import Ranking
from itm.ranking.recommend import recommend
from itm.refresh.changes import GONE, compare
from itm.refresh.records import DataChange, Lead, Move
from tests.refresh.rankings import PARAMS, failing_whole, rank, recommend_first, refresh, without

pytestmark = pytest.mark.slow

POOL = {"a": 0.9, "b": 0.8, "c": 0.7, "d": 0.6}


def changed(before: Ranking | None, now: Ranking, recommended: dict[str, str] | None = None) -> DataChange:
    """Return what changed on the first data set, recommended before being `recommended` or the winners."""
    held = (recommend_first(before) if before else {}) | (recommended or {})
    told = {data.data: recommend(data, held.get(data.data), within_noise=False) for data in now.data_sets}
    last = refresh(before, held) if before else None
    return compare(now, PARAMS, held | {data: model for data, model in told.items() if model}, last)[0]


def test_the_first_ranking_is_no_news() -> None:
    found = changed(None, rank(POOL))
    assert found == DataChange("petals", "first ranking", "a", None, "a", None)
    assert not found.is_news


def test_the_same_ranking_changes_nothing() -> None:
    assert changed(rank(POOL), rank(POOL)) == DataChange("petals", "same winner", "a", "a", "a", "a")


def test_a_new_model_wins_beyond_noise() -> None:
    found = changed(rank(POOL), rank(POOL | {"new": 0.95}))
    assert (found.verdict, found.winner, found.recommended, found.new) == ("winner changed", "new", "new", ("new",))
    assert found.lead == Lead("new", "a", pytest.approx(0.05), pytest.approx(0.05), pytest.approx(0.05))
    assert found.is_news
    assert found.moved == found.gone == found.failed == found.causes == ()


def test_a_winner_within_noise_is_told_of_and_not_recommended() -> None:
    found = changed(rank(POOL), rank(POOL | {"new": 0.95}, noisy=("new",)))
    assert (found.verdict, found.winner, found.recommended) == ("within noise", "new", "a")
    assert found.lead
    assert found.lead.low < 0 < found.lead.difference < found.lead.high
    assert not found.is_news


def test_the_lead_is_over_what_is_recommended() -> None:
    before = rank(POOL | {"b": 0.91}, noisy=("a", "b"))
    held = changed(before, rank(POOL | {"c": 0.97}), {"petals": "a"})
    assert held.lead
    assert (held.winner_before, held.recommended_before, held.lead.over) == ("b", "a", "a")
    same = changed(before, before, {"petals": "c"})
    assert same.lead
    assert (same.verdict, same.lead.over, same.recommended) == ("same winner", "c", "b")
    assert same.is_news


def test_a_winner_that_is_gone_has_no_lead_over_it() -> None:
    found = changed(rank(POOL), rank({model: value for model, value in POOL.items() if model != "a"}))
    assert (found.verdict, found.winner, found.lead, found.gone) == ("winner changed", "b", None, ("a",))
    assert found.is_news
    assert found.moved == ()


def test_a_model_that_failed_is_told_of() -> None:
    before = rank(POOL | {"broken": "no such file"})
    found = changed(before, rank(POOL | {"broken": "no such file", "c": "out of memory", "worse": "no weights"}))
    assert found.failed == ("c", "worse")
    assert found.new == found.gone == ()
    assert changed(before, rank(POOL | {"broken": 0.1})).new == ("broken",)


def test_a_data_set_that_failed_keeps_what_was_recommended() -> None:
    broken = failing_whole(rank(POOL), "petals: there are no images")
    found = changed(rank(POOL), broken)
    assert (found.verdict, found.winner, found.recommended) == ("nothing ranked", None, "a")
    assert found.causes == ("petals: there are no images",)
    assert found.new == found.gone == found.moved == found.failed == ()
    assert not found.is_news
    back = changed(broken, rank(POOL), {"petals": "a"})
    assert (back.verdict, back.new, back.causes) == ("same winner", (), ("nothing was ranked in the last refresh",))


def test_where_every_model_failed_one_reason_is_told() -> None:
    found = changed(rank(POOL), rank(dict.fromkeys(POOL, "no weights")))
    assert (found.verdict, found.recommended) == ("nothing ranked", "a")
    assert found.causes == ("no model could be ranked; a failed at extract: no weights",)


def test_a_data_set_that_is_gone_comes_last() -> None:
    both = rank(POOL, POOL)
    found = compare(without(both, "petals"), PARAMS, recommend_first(both), refresh(both))
    assert [change.data for change in found] == ["leaves", "petals"]
    assert (found[1].winner_before, found[1].recommended, found[1].causes) == ("a", "a", (GONE,))
    assert not found[1].is_news


def test_only_models_that_changed_places_with_others_have_moved() -> None:
    now = {"first": 0.99, "a": 0.9, "c": 0.8, "b": 0.7, "d": "out of memory"}
    assert changed(rank(POOL), rank(now)).moved == (Move("c", 3, 2), Move("b", 2, 3))


def test_causes_are_told_in_words() -> None:
    before = rank(POOL)
    assert changed(before, rank(POOL, images=100)).causes == ("10 images more (100 now)",)
    assert changed(before, rank(POOL, images=80)).causes == ("10 images fewer (80 now)",)
    assert changed(before, rank(POOL, weights={"b": "other"})).causes == ("weights of b changed",)
    assert changed(before, rank(POOL, seed=3)).causes == ("options of the data, the embeddings or the scores changed",)
    last = refresh(before)
    by_another = replace(last, standings=tuple(replace(standing, rank_by="logme") for standing in last.standings))
    assert compare(before, PARAMS, {}, by_another)[0].causes == ("ranked by knn instead of logme",)
    other_files = replace(before, data_sets=(replace(before.data_sets[0], hash="other"),))
    assert changed(before, other_files).causes == ("images, targets, groups or splits changed (90 images, as before)",)


pools = st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 99).map(lambda value: value / 100) | st.just("failed"))


@given(pools, pools)
def test_every_model_is_accounted_for(before: dict[str, float | str], now: dict[str, float | str]) -> None:
    ranked_before = {model for model, value in before.items() if value != "failed"}
    ranked_now = {model for model, value in now.items() if value != "failed"}
    one, other = rank(before, noisy=("a", "c")), rank(now, noisy=("b", "c"))
    found = changed(one if before else None, other)
    if found.is_news:
        assert found.recommended == found.winner
        assert found.recommended_before not in ranked_now or (found.lead and found.lead.low > 0)
    if found.lead:
        assert found.lead.model == found.winner != found.lead.over
        assert found.lead.difference >= 0
    if ranked_before and ranked_now:
        assert set(found.new) == ranked_now - ranked_before
        assert set(found.gone) == before.keys() - now.keys()
    moved = {move.model for move in found.moved}
    assert moved <= ranked_before & ranked_now
    assert sorted(move.before for move in found.moved) == sorted(move.now for move in found.moved)
    order = [model for model in sorted(ranked_now & ranked_before, key=lambda m: (-float(now[m]), m)) if model not in moved]
    assert order == sorted(order, key=lambda m: (-float(before[m]), m))
