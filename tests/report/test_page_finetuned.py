"""The page after fine-tuning, the next command, and what bold type, badges and captions say."""

import shlex
from dataclasses import replace

from itm.core.confirmations import Accuracy, Candidate, Confirmed
from itm.core.rankings import DataRanking, Ranking
from itm.report.captions import bars_caption, cost_caption
from itm.report.figures import score_against_cost, score_bars
from itm.report.next_step import next_command
from itm.report.page import render
from itm.report.page_tables import ranking_table
from itm.report.wording import answer, bold_models
from tests.report.example import example_ranking

FIRST, SECOND = "convnext_tiny.fb_in22k", "vit_base_patch16_224.augreg_in21k_ft_in1k"


def finetuned(**changes: object) -> Confirmed:
    """Return a comparison of the first two models on textures, by default one that picks the second."""
    low, high = Accuracy(0.6, 0.55, 0.65, 400), Accuracy(0.8, 0.75, 0.84, 400)
    rows = (Candidate(FIRST, 1, 0.87, val=low, test=low), Candidate(SECOND, 2, 0.84, val=high, test=high))
    return replace(Confirmed("textures", "h", "itm", rows, FIRST, SECOND, FIRST, 0.2, 0.07), **changes)  # type: ignore[arg-type]


def textures() -> Ranking:
    ranking = example_ranking()
    return replace(ranking, data_sets=ranking.data_sets[1:2])


def changed(data: DataRanking, **changes: object) -> DataRanking:
    """Return a data set with the same changes in all of its ranked rows."""
    return replace(data, rows=tuple(replace(row, **changes) for row in data.rows if row.rank))  # type: ignore[arg-type]


def test_the_page_shows_what_fine_tuning_picked_and_no_other_answer() -> None:
    html = render(textures(), [finetuned()])
    assert f"For textures, fine-tuning picks {SECOND} instead of {FIRST}" in html
    assert "80.0 [75.0, 84.0]" in html
    assert "The pick is bold." in html
    assert "clearly better than every other model" not in html
    assert "What next." not in html
    assert "After fine-tuning" not in render(textures())


def test_the_answer_follows_fine_tuning() -> None:
    (data,) = textures().data_sets
    assert str(answer(data, confirmed=finetuned())) == f"For textures, fine-tune {SECOND}, number 2 of the ranking."
    undecided = answer(data, confirmed=finetuned(tied=(SECOND, FIRST)))
    assert str(undecided) == f"For textures, fine-tune {FIRST} or {SECOND}. Fine-tuning did not decide between them."
    disagree = answer(data, confirmed=finetuned(leader=FIRST, other=SECOND, test_favours=SECOND))
    assert str(disagree) == str(undecided)
    for same in (finetuned(leader=FIRST, other=SECOND), finetuned(leader=None, other=None)):
        assert answer(data, confirmed=same) == answer(data)
    assert "The pick is bold" not in render(textures(), [finetuned(tied=(SECOND, FIRST))])


def test_the_next_command_names_source_zoo_and_models_for_a_shell() -> None:
    ranking = textures()
    data = replace(ranking.data_sets[0], source="folder:my images/it's")
    zoo = {"file": "my zoo.yaml", "code": ["own.py"], "models": ["*"]}
    ranking = replace(ranking, provenance={"params": {"zoo": zoo, "data": {"max_images": 900}}})
    words = shlex.split(next_command(data, ranking))
    assert words[:3] == ["itm", "finetune", "textures=folder:my images/it's"]
    assert words[3:9] == ["--zoo", "my zoo.yaml", "--code", "own.py", "--max-images", "900"]
    assert words[9:] == ["--model", FIRST, "--model", SECOND, "--model", "resnet50.a1_in1k"]
    assert next_command(example_ranking().data_sets[2], ranking) == ""
    assert next_command(replace(data, data="a=b"), ranking).startswith("itm finetune 'folder:my images")


def test_no_model_above_the_baseline_is_said_in_the_answer() -> None:
    (data,) = textures().data_sets
    below = replace(
        data,
        rows=tuple(
            replace(row, estimate=replace(row.estimate, details=row.estimate.details | {"baseline": 0.95}))
            for row in data.rows
            if row.estimate
        ),
    )
    assert str(answer(below)).startswith(f"For textures, {FIRST} is first, but no model clearly exceeds the baseline")
    assert "fine-tune" not in str(answer(below))
    assert "baseline" not in str(answer(replace(below, score_metric=None)))


def test_a_model_of_a_later_group_that_is_tied_with_the_first_is_marked() -> None:
    ranking = textures()
    (data,) = ranking.data_sets
    rows = tuple(replace(row, tied_with_first=row.rank == 4) for row in data.rows)
    table = ranking_table(replace(data, rows=rows), ranking)
    assert [line.cells[3].note for line in table.lines] == ["", "", "", "tied with the first", *[""] * 5]
    assert [line.best for line in table.lines[:5]] == [True, False, False, True, False]
    assert bold_models(data) == "The first model is bold."
    assert bold_models(replace(data, rows=rows)) == "The first model and those tied with it are bold."
    assert bold_models(example_ranking().data_sets[2]) == ""


def test_captions_describe_what_is_drawn() -> None:
    (data,) = textures().data_sets
    whole = bars_caption(data, score_bars(data))
    assert "Upright ticks are the control." in whole
    assert "The dotted line is the baseline." in whole
    assert "after 4 groups they repeat" in whole
    assert "Models without a score failed." in whole
    plain = changed(data, tie_group=1)
    plain = replace(plain, rows=tuple(replace(r, estimate=replace(r.estimate, details={})) for r in plain.rows if r.estimate))
    said = bars_caption(plain, score_bars(plain))
    assert said == "Marks are scores, bars are 95 % confidence intervals. The first model is bold."
    assert "The dashed line connects" in cost_caption(data, score_against_cost(data))
    unknown = changed(data, facts=None)
    assert score_against_cost(unknown).axes[0].texts[0].get_text() == "No model has both a score and a known cost"
    assert cost_caption(unknown, score_against_cost(unknown)) == "The cost of no ranked model is known."
    for rows in (data.rows[:1], [replace(row, estimate=data.rows[0].estimate) for row in data.rows[:2]]):
        one_front = replace(data, rows=tuple(rows))
        assert "dashed" not in cost_caption(one_front, score_against_cost(one_front))
