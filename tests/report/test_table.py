"""What a reader of the terminal table can count on."""

import io
from dataclasses import replace

from rich.console import Console

from itm.core.rankings import Estimate
from itm.core.text import decimals, format_fixed, pluralize
from itm.report.table import print_ranking, ranking_tables
from itm.report.wording import answer
from tests.report.example import BROKEN, HOSTILE, MEMORY, NO_HEAD, POOL, example_ranking, ranked_by


def _printed(width: int, terminal: bool, encoding: str = "utf-8") -> str:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding)
    console = Console(file=stream, width=width, force_terminal=terminal, color_system="standard" if terminal else None)
    print_ranking(example_ranking(), console)
    stream.flush()
    return raw.getvalue().decode(encoding)


def _without_codes(text: str) -> str:
    return "".join(part.partition("m")[2] if i else part for i, part in enumerate(text.split("\x1b[")))


def test_one_table_a_data_set() -> None:
    tables = ranking_tables(example_ranking())
    assert [table.row_count for table in tables] == [len(POOL)] * 3
    assert str(tables[0].title) == (
        "flowers5: 3,665 images, 5 classes, scored on the splits train and val, "
        "8 rejected (4 conflicting labels, 1 too large, 3 unreadable)"
    )


def test_pipe_has_whole_names_on_one_line_and_no_codes() -> None:
    text = _printed(80, terminal=False)
    assert "\x1b" not in text
    lines = text.splitlines()
    for name in [model[0] for model in POOL]:
        assert sum((name in line and " ranked" in line) or (name in line and " partial" in line) for line in lines) in (0, 2)
    assert (
        "1  vit_base_patch16_224.augreg_in21k_ft_in1k  0.934 [0.929, 0.938]  0.933    1   16.9      86.6   60.7   21.4  ranked"
        in text
    )
    assert all(any(reason in line for line in lines) for reason in (MEMORY, NO_HEAD))


def test_failed_models_come_last_with_their_reason_below() -> None:
    first = _printed(200, terminal=False).split("textures")[0].splitlines()
    rows = [line for line in first if any(line.rstrip().endswith(word) for word in ("ranked", "partial", "failed"))]
    assert rows[-1].split() == ["-", "swin_large_patch4_window12_384.ms_in22k", *"-------", "failed"]
    assert f"  {MEMORY}" == first[first.index("Failed at extract: swin_large_patch4_window12_384.ms_in22k") + 1]


def test_groups_are_in_the_title() -> None:
    data = replace(example_ranking().data_sets[1], groups=1200)
    (table,) = ranking_tables(replace(example_ranking(), data_sets=(data,)))
    assert str(table.title) == "textures: 3,665 images, 5 classes, 1,200 groups, scored on the splits train and val"
    assert "group" not in str(ranking_tables(example_ranking())[1].title)


def test_reason_of_a_whole_data_set_is_said_once() -> None:
    assert _printed(200, terminal=False).count(BROKEN.removeprefix("broken_csv: ")) == 1


def test_terminal_of_108_columns_loses_nothing() -> None:
    lines = _without_codes(_printed(108, terminal=True)).splitlines()
    assert max(map(len, lines)) <= 108
    start = next(i for i, line in enumerate(lines) if " vit_base" in line)
    assert "".join(line[4:34].strip() for line in lines[start : start + 2]) == "vit_base_patch16_224.augreg_in21k_ft_in1k"
    assert "…" not in "".join(lines)


def test_narrow_terminal_keeps_names() -> None:
    narrow = _without_codes(_printed(50, terminal=True))
    assert "img/s" not in narrow
    assert "eta=0" not in narrow
    assert "test_vit.untrained" in narrow


def test_a_control_has_a_column_only_where_there_is_one() -> None:
    ranking = example_ranking()
    headings = [[str(column.header) for column in table.columns] for table in ranking_tables(ranking)]
    assert [heading[2:4] for heading in headings] == [["itm, 95 %", "eta=0"]] * 2 + [["itm, 95 %", "tie"]]
    plain = [str(column.header) for column in ranking_tables(ranked_by(ranking, "logme"))[0].columns]
    assert plain[2:4] == ["logme, 95 %", "tie"]


def test_caption_holds_the_baseline() -> None:
    caption = str(ranking_tables(example_ranking())[0].caption).splitlines()
    assert caption[1:] == ["Always predicting the most frequent class reaches an accuracy of 0.244."]
    assert len(str(ranking_tables(ranked_by(example_ranking(), "logme"))[0].caption).splitlines()) == 1


def test_names_are_not_read_as_markup() -> None:
    ranking = example_ranking()
    data = ranking.data_sets[0]
    renamed = replace(data, data="[red]flowers[/red]", rows=(replace(data.rows[0], model="[bold]net[/bold]"), *data.rows[1:]))
    stream = io.StringIO()
    print_ranking(replace(ranking, data_sets=(renamed,)), Console(file=stream, width=200))
    assert "[red]flowers[/red]: 3,665" in stream.getvalue()
    assert "[bold]net[/bold]  " in stream.getvalue()
    assert HOSTILE in stream.getvalue()


def test_plain_ascii_streams_are_served() -> None:
    assert "vit_base_patch16_224.augreg_in21k_ft_in1k" in _printed(100, terminal=False, encoding="ascii")


def test_answers() -> None:
    tied, clear, broken = example_ranking().data_sets
    assert str(answer(tied)) == (
        "For flowers5, fine-tune vit_base_patch16_224.augreg_in21k_ft_in1k. It is tied with convnext_tiny.fb_in22k and "
        "vit_tiny_patch16_224.augreg_in21k_ft_in1k."
    )
    assert str(answer(clear)).endswith("fine-tune convnext_tiny.fb_in22k. It is clearly better than every other model.")
    untested = replace(clear, rows=tuple(replace(row, tie_group=None) for row in clear.rows))
    assert str(answer(untested)) == "For textures, fine-tune convnext_tiny.fb_in22k."
    alone, one_of_two = replace(clear, rows=clear.rows[:1]), replace(clear, rows=(clear.rows[0], clear.rows[-1]))
    first = "convnext_tiny.fb_in22k"
    assert str(answer(alone)) == f"For textures, {first} is the only model, so nothing is compared."
    assert str(answer(one_of_two)) == (
        f"For textures, only {first} could be ranked: 1 other model failed, so nothing is compared."
    )
    assert str(answer(broken)).startswith("No model could be ranked on broken_csv: there is no column 'label'")
    most_tied = replace(tied, rows=tuple(replace(row, tied_with_first=row.rank != 8) for row in tied.rows[:8]))
    assert "tied with convnext_tiny.fb_in22k, vit_tiny_patch16_224.augreg_in21k_ft_in1k and 4 more." in str(answer(most_tied))
    all_tied = replace(tied, rows=tuple(replace(row, tied_with_first=True) for row in tied.rows[:8]))
    assert str(answer(all_tied)).startswith("All 8 models are tied. For flowers5, fine-tune the cheapest of them or vit_base")


def test_numbers_show_the_digits_that_matter() -> None:
    assert decimals([Estimate(0.9, 0.88, 0.92, ())]) == 3
    assert decimals([Estimate(5000.0, 4000.0, 6000.0, ())]) == 0
    assert decimals([Estimate(2e-4, 1e-4, 3e-4, ())]) == 5
    assert decimals([Estimate(0.5, 0.5, 0.5, ())]) == 4
    assert decimals([None]) == 3
    assert decimals([Estimate(0.0, 0.0, 0.0, ())]) == 0
    assert format_fixed(-0.0001, 2) == "0.00"
    assert pluralize(1, "class") == "1 class"
