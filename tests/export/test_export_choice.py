"""Which model is exported, what is said of it, and what is wrong."""

import logging
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from itm.core.errors import ModelError, ParamsError
from itm.core.types import Outcome
from itm.export.choice import choose, choose_from
from itm.finetuning.confirm import confirm
from itm.finetuning.table import write_runs
from itm.ranking.recommend import update_recommended
from itm.store.confirmed_file import write_confirmed
from itm.store.files import write_json
from itm.store.layout import Store
from itm.store.ranking_file import read_ranking
from tests.export.conftest import BLOCK, RESNET, Ranked

pytestmark = pytest.mark.slow


@pytest.fixture
def copied(ranked: Ranked, tmp_path: Path) -> Ranked:
    """Return the ranking in a store that a test may change."""
    shutil.copytree(ranked.store.root, tmp_path / "copied")
    return replace(ranked, store=Store(tmp_path / "copied"))


def test_the_recommended_model_is_chosen_and_else_the_first(copied: Ranked) -> None:
    first = copied.ranking.data_sets[0].rows[0].model
    assert choose("digits", copied.store).row.model == first
    write_json(copied.store.recommended, {"digits": BLOCK})
    assert choose("digits", copied.store).row.model == BLOCK
    write_json(copied.store.recommended, {"digits": "gone"})
    assert choose("digits", copied.store).row.model == first


def test_a_trial_is_found_by_its_data_set(copied: Ranked) -> None:
    trial = replace(copied.store, ranking_name="digits-1a2b3c")
    trial.ranking.parent.mkdir(parents=True)
    copied.store.ranking.rename(trial.ranking)
    assert choose("digits", copied.store, model=RESNET).finetuned is not None  # weights are shared by rankings
    shutil.copytree(trial.results, copied.store.trials / "digits-4d5e6f")
    with pytest.raises(ParamsError, match="several rankings have the data set 'digits': digits-1a2b3c, digits-4d5e6f; choose"):
        choose("digits", copied.store)
    assert choose("digits", copied.store, "digits-4").data.data == "digits"


def test_unknown_names_are_said_with_what_is_near(ranked: Ranked) -> None:
    with pytest.raises(ParamsError, match=r"no ranking has the data set 'digit'; did you mean 'digits'\?"):
        choose("digit", ranked.store)
    with pytest.raises(ParamsError, match=r"'test_resnet.drawn_lon' is not ranked; did you mean 'test_resnet.drawn_long'"):
        choose("digits", ranked.store, model="test_resnet.drawn_lon")


def test_changed_weights_are_not_exported(copied: Ranked) -> None:
    whole = copied.ranking
    rows = tuple(replace(row, weights="0" * 64) for row in whole.data_sets[0].rows)
    changed = replace(whole, data_sets=(replace(whole.data_sets[0], rows=rows),))
    with pytest.raises(ModelError, match="its weight file has changed since it was ranked"):
        choose_from(changed, changed.data_sets[0], copied.store)


def test_embeddings_of_ones_own_have_no_model(ranked: Ranked) -> None:
    own = replace(ranked.ranking.data_sets[0], source="embeddings:vectors")
    with pytest.raises(ModelError, match="digits: embeddings of your own have no model to load"):
        choose_from(ranked.ranking, own, ranked.store)


def test_weights_that_were_not_kept_and_a_better_model_are_logged(copied: Ranked, caplog: pytest.LogCaptureFixture) -> None:
    whole = read_ranking(copied.store)
    update_recommended(whole, copied.store, within_noise=False)
    names = [row.model for row in whole.data_sets[0].rows]
    runs = next(iter(copied.runs.values()))
    poor, good = (
        tuple(
            replace(run, model=name, val_accuracy=value, test_accuracy=value, val_images=900, test_images=900) for run in runs
        )
        for name, value in zip(names, (0.2, 0.9), strict=False)
    )
    outcomes = [Outcome("digits", names[0], runs=poor), Outcome("digits", names[1], runs=good)]
    write_confirmed(confirm(whole, outcomes), copied.store)
    write_runs(outcomes, copied.store)
    shutil.rmtree(copied.store.root / "weights")
    with caplog.at_level(logging.WARNING, "itm"):
        assert choose("digits", copied.store).finetuned is None
    assert f"{names[0]} was fine-tuned on digits, but its weights are not in this store" in caplog.text
    assert f"{names[0]} is recommended, but {names[1]} is better after fine-tuning; add --model {names[1]}" in caplog.text
