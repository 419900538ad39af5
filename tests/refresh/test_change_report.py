"""The change report: the same words everywhere, no name that becomes markup, and a page that stays small."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from itm.core.rankings import Ranking
from itm.ranking.recommend import recommend
from itm.refresh.bump_figure import MOST_MODELS, bump_figure
from itm.refresh.changes import compare
from itm.refresh.page import MOST_CHARTS, write_changes
from itm.refresh.records import DataChange, Refresh
from itm.refresh.text import duration, headline, markdown, sentences, verdict
from itm.report.figures import THEME
from itm.run.work import Work
from tests.refresh.rankings import PARAMS, Values, failing_whole, rank, recommend_first, refresh, without
from tests.report.example import HOSTILE

pytestmark = pytest.mark.slow

POOL = {"a": 0.9, "b": 0.8, "c": 0.7}


def refreshed(before: Ranking | None, now: Ranking, within_noise: bool = False) -> tuple[Refresh, tuple[DataChange, ...]]:
    """Return the second refresh and what it changed, the winners before being recommended."""
    held = recommend_first(before) if before else {}
    told = {data.data: recommend(data, held.get(data.data), within_noise) for data in now.data_sets}
    recommended = held | {data: model for data, model in told.items() if model}
    last = refresh(before, held) if before else None
    return refresh(now, recommended, 2), compare(now, PARAMS, recommended, last)


def said(before: Ranking | None, now: Ranking, within_noise: bool = False) -> tuple[str, str]:
    """Return the headline and the verdict on the first data set."""
    found, changes = refreshed(before, now, within_noise)
    return headline(found, changes), verdict(changes[0])


def test_a_lead_beyond_noise_is_news() -> None:
    news, found = said(rank(POOL), rank(POOL | {"new": 0.95}))
    assert news == "New recommendation: new for petals."
    assert re.fullmatch(
        r"new is now first\. It is clearly better than a, by 0\.05\d* \[[\d., ]+\]\. It is now recommended\.", found
    )


def test_a_lead_within_noise_is_no_news() -> None:
    noisy = rank(POOL | {"new": 0.95}, noisy=("new",))
    news, found = said(rank(POOL), noisy)
    assert news == "No new recommendation; a tied model is now first on petals."
    assert re.fullmatch(
        r"new is now first\. It leads a by 0\.05\d* \[-0\.0*[1-9]\d*, 0\.\d+\], within noise\. a is still recommended\.",
        found,
    )
    asked = said(rank(POOL), noisy, within_noise=True)[1]
    assert asked.endswith("within noise. It is now recommended, because refresh.within_noise is set.")


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        (None, rank(POOL), ("First ranking of petals.", "a is first in the first ranking. It is recommended.")),
        (rank(POOL), rank(POOL), ("No new recommendation.", "a is still first. It is still recommended.")),
        (
            rank(POOL),
            rank({"b": 0.8, "c": 0.7}),
            (
                "New recommendation: b for petals.",
                "b is now first. a, recommended before, is no longer ranked. It is now recommended.",
            ),
        ),
        (
            rank(POOL),
            failing_whole(rank(POOL), "petals: no images"),
            (
                "No new recommendation; nothing could be ranked on petals.",
                "Nothing could be ranked. a is still recommended.",
            ),
        ),
    ],
)
def test_other_verdicts(before: Ranking | None, now: Ranking, expected: tuple[str, str]) -> None:
    assert said(before, now) == expected


def test_the_terminal_names_what_changed_and_counts_the_rest() -> None:
    before = rank(POOL, POOL, POOL, names=("petals", "leaves", "bark"))
    values: Values = {"a": 0.9, "new": 0.85, "b": "out of memory"}
    found, changes = refreshed(before, rank(values, POOL, POOL, names=("petals", "leaves", "bark")))
    lines = list(sentences(replace(found, problems=("not tracked: nobody answers",)), changes))
    assert lines[1:5] == [
        "petals: a is still first. It is still recommended.",
        "  New: new (rank 2)",
        "  Gone: c",
        "  Failed: b: extract: out of memory",
    ]
    assert lines[5] == "Unchanged: leaves and bark."
    assert lines[-1] == "not tracked: nobody answers"


def test_work_and_seconds_are_told() -> None:
    found, changes = refreshed(None, rank(POOL))
    done = Work(extracted=2, features_cached=1000, scored=8, scores_cached=4000, failed=1, images=900, extract_seconds=10)
    lines = list(sentences(replace(found, work=done, steps={"ingest": 1.5, "extract": 90.0}), changes))
    assert lines[-2:] == [
        "Extracted 2 pairs at 90 images per second and worker (1,000 cached); computed 8 scores (4,000 cached); 1 pair failed.",
        "Took 1 min 32 s: ingest 1.5 s, extract 1 min 30 s.",
    ]
    assert [duration(taken) for taken in (59.97, 3599.7)] == ["1 min 0 s", "1 h 0 min"]


def test_no_name_becomes_markup(tmp_path: Path) -> None:
    data, link = '<img src=x onerror="alert(1)">', "[x](javascript:alert(1))"
    names = (data, link)
    before = rank(POOL | {HOSTILE: 0.6}, POOL, names=names)
    now = rank({link: 0.97, HOSTILE: "<b>reason</b>"} | POOL, {HOSTILE: 0.99, "| *x* `y`\n# z": 0.5}, names=names)
    found, changes = refreshed(before, now)
    found = replace(found, problems=("<script>alert(2)</script>",), steps={"<u>step</u>": 1.0})
    page = write_changes(found, changes, [refresh(before)], tmp_path).read_text(encoding="utf-8")
    assert not re.search(r"<(script|img|b|u)\b", page)
    assert page.count("&lt;script&gt;") >= 3
    text = markdown(found, changes)
    assert "<" not in text
    assert "](" not in text
    assert "\\| \\*x\\* \\`y\\` \\# z" in text


def test_the_page_of_a_large_zoo_stays_small(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    names = tuple(f"set{number}" for number in range(20))
    models = [f"vit_base_patch16_224.augreg_in21k_ft_in1k_{number}" for number in range(300)]
    two = [rank(*({model: float(rng.uniform()) for model in models} for _ in names), names=names) for _ in range(2)]
    history = [refresh(two[number % 2], number=number) for number in range(1, 41)]
    changes = compare(two[0], PARAMS, recommend_first(two[0]), history[-2])
    page = write_changes(history[-1], changes, history, tmp_path / "000040")
    assert page.stat().st_size < 2_000_000
    assert page.read_text(encoding="utf-8").count("<svg") == MOST_CHARTS
    assert len(list(page.parent.glob("bump-*.png"))) == MOST_CHARTS
    assert (page.parent / "changes.md").read_text(encoding="utf-8") == markdown(history[-1], changes)


def test_the_page_is_the_same_every_time_and_quiet_where_nothing_changed(tmp_path: Path) -> None:
    both = rank(POOL, POOL)
    history = [refresh(both, number=number) for number in (1, 2)]
    changes = compare(both, PARAMS, recommend_first(both), history[0])
    page = write_changes(history[1], changes, history, tmp_path / "a").read_text(encoding="utf-8")
    assert page == write_changes(history[1], changes, history[:1], tmp_path / "b").read_text(encoding="utf-8")
    assert "<svg" not in page
    assert "<section" not in page
    assert page.count("a is still first. It is still recommended.") == 2


def test_a_data_set_that_is_gone_is_told_of(tmp_path: Path) -> None:
    both = rank(POOL, POOL)
    found, changes = refreshed(both, without(both, "leaves"))
    assert "leaves: Nothing could be ranked. a is still recommended." in list(sentences(found, changes))
    page = write_changes(found, changes, [refresh(both)], tmp_path)
    assert "the data set is no longer refreshed" in page.read_text(encoding="utf-8")
    assert headline(found, changes) == "No new recommendation."


def test_lines_have_gaps_and_rings() -> None:
    pools: list[Values] = [POOL, POOL | {"b": "out of memory"}, {"a": 0.9, "b": 0.95, "c": 0.7}]
    told = ({"petals": "a"}, {"petals": "a"}, {"petals": "b"})
    history = [refresh(rank(pool), held, number) for number, (pool, held) in enumerate(zip(pools, told, strict=True), 1)]
    axes = bump_figure(history, "petals").axes[0]
    lines = {text.get_text(): line for text, line in zip(axes.texts, axes.lines, strict=True)}
    np.testing.assert_array_equal(lines["b"].get_ydata(), [2, np.nan, 1])
    np.testing.assert_array_equal(lines["a"].get_ydata(), [1, 1, 2])
    assert lines["b"].get_color() == THEME["group-0"] != lines["a"].get_color()
    pairs = zip(axes.texts, axes.collections, strict=True)
    rings = {text.get_text(): np.asarray(ring.get_offsets()).tolist() for text, ring in pairs}
    assert rings == {"a": [[0, 1], [1, 1]], "b": [[2, 1]], "c": []}
    low, high = axes.get_ylim()
    assert low > high


def test_only_the_first_models_and_the_recommended_one_are_drawn() -> None:
    models = {f"m{number:03d}": 1 - number / 1000 for number in range(300)}
    history = [refresh(rank(models), {"petals": "m200"}, number) for number in (1, 2)]
    axes = bump_figure(history, "petals").axes[0]
    assert [text.get_text() for text in axes.texts] == [*(f"m{n:03d}" for n in range(MOST_MODELS)), "201  m200"]
    assert axes.get_ylim()[0] < 20
