"""The text of a budget."""

import pytest

from itm.core.errors import ParamsError
from itm.core.selections import SearchBudget
from itm.selection.budget import budget_text, read_budget


@pytest.mark.parametrize(
    ("text", "seconds"), [("30m", 1800), ("2h", 7200), ("1h30m", 5400), ("90s", 90), ("90", 90), ("1.5h", 5400), (" 2M ", 120)]
)
def test_a_time_is_read(text, seconds):
    assert read_budget(text) == SearchBudget(seconds=seconds)


def test_a_share_and_a_regret_are_read():
    assert read_budget("15%") == SearchBudget(share=0.15)
    assert read_budget(None, regret=0.5) == SearchBudget(regret=0.005, confidence=0.95)
    assert read_budget("1h", regret=1, confidence=0.8) == SearchBudget(3600, None, 0.01, 0.8)


@pytest.mark.parametrize("text", ["", "soon", "0m", "0%", "-5m", "m", "10x"])
def test_a_wrong_budget_is_named_with_examples(text):
    with pytest.raises(ParamsError, match=r"--budget is .*, which is no budget; give a time such as 30m"):
        read_budget(text)


def test_a_search_needs_a_limit():
    with pytest.raises(ParamsError, match="a search needs a limit: give a time such as 30m"):
        read_budget(None)
    with pytest.raises(ParamsError, match="--confidence is that of --regret"):
        read_budget("1h", confidence=0.9)
    with pytest.raises(ParamsError, match="--regret is 0; give points of accuracy above 0"):
        read_budget(None, regret=0)
    with pytest.raises(ParamsError, match="--confidence is 95; give a probability between 0 and 1"):
        read_budget(None, regret=1, confidence=95)


def test_a_budget_is_described():
    assert budget_text(SearchBudget(share=0.15)) == "a budget of 15 % of the full grid"
