"""`itm.select`: the best model under a budget, in Python."""

import pytest

import itm
from itm.core.errors import ParamsError

MODELS = ["test_resnet.drawn_long", "test_efficientnet.textures"]
SHORT = {
    "data": {"max_images": 150},
    "finetune": {"seeds": 1, "steps": 2, "evaluations": 2, "learning_rates": [1e-4, 1e-2], "few_images_divisor": 1},
    "extract": {"device": "cpu"},
}


@pytest.mark.slow
def test_a_model_is_selected_and_loaded(project):
    project(**SHORT)
    selection = itm.select("digits", models=MODELS, budget="50%")
    assert selection.best.model in MODELS
    assert {row.model for row in selection} == set(MODELS)
    assert selection.recipe is not None
    assert selection.to_polars()["model"].to_list() == [row.model for row in selection]
    assert f"fine-tune {selection.best.model}" in repr(selection)
    assert selection.page.is_file()
    assert len(selection.load().labels) == 10
    assert selection.load().name == selection.best.model


def test_a_wrong_argument_is_an_error(project):
    project()
    with pytest.raises(ParamsError, match="a search needs a limit"):
        itm.select("digits")
