"""Runs that stop at rungs and go on end like runs that were trained at once, and share what they store with `finetune`."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from itm.core.errors import ParamsError
from itm.core.sections import ExtractParams, FinetuneParams
from itm.core.types import DataRef, ModelRef
from itm.finetuning.rungs import Rung, Wanted, forget_states, stored_rungs, train_rungs
from itm.finetuning.runs import finetune
from itm.finetuning.steps import Deadline, OutOfTimeError
from itm.finetuning.trajectory import Trajectory
from itm.store.layout import Store
from tests.finetuning.conftest import SHORT

pytestmark = pytest.mark.slow

PARAMS = FinetuneParams.model_validate(SHORT | {"steps": 8, "evaluations": 4, "protocols": ("full",), "batch_norm": "train"})
EXTRACT = ExtractParams(device="cpu")
Train = Callable[..., tuple[Rung, ...]]


@pytest.fixture
def other(store: Store) -> Store:
    """Return a second empty store."""
    return Store(store.root / "other")


@pytest.fixture
def train(resnet: ModelRef, digits: DataRef, store: Store) -> Train:
    """Train one run per call."""

    def call(*steps: int, where: Store = store, rate: float = 1e-3, **more: Any) -> tuple[Rung, ...]:
        wanted = [Wanted("full", rate, more.pop("seed", 0), step) for step in steps]
        return train_rungs(resnet, digits, wanted, PARAMS.model_copy(update=more), EXTRACT, where)

    return call


def known(rung: Rung) -> Rung:
    """Return a rung without times, and with the evaluations of marks only."""
    marks = tuple(mark for mark in rung.marks if mark.step in (2, 4, 6, 8))
    return replace(rung, seconds=0.0, start_seconds=0.0, marks=marks)


def kept(store: Store) -> dict[str, torch.Tensor]:
    (path,) = (store.root / "weights").rglob("*.safetensors")
    return load_file(path)


def test_rungs_end_as_one_run_does(train: Train, store: Store, other: Store, resnet, digits) -> None:
    rungs = [train(step)[0] for step in (1, 3, 6, 8)]  # each call loads the state again
    (whole,) = train(8, where=other)
    assert [rung.step for rung in rungs] == [1, 3, 6, 8]
    assert [rung.over for rung in rungs] == [False, False, False, True]
    assert [mark.step for mark in rungs[-1].marks] == [1, 2, 3, 4, 6, 8]
    assert known(rungs[-1]) == known(whole)
    assert whole.test_accuracy is not None
    assert rungs[-2].test_accuracy is None
    assert all(torch.equal(value, kept(other)[name]) for name, value in kept(store).items())
    assert not list((store.root / "states").rglob("*.safetensors"))
    assert rungs[-1].seconds > rungs[0].seconds > 0
    assert stored_rungs(resnet, digits, PARAMS, EXTRACT, store) == (rungs[-1],)


def test_a_killed_rung_begins_at_the_last_one(train: Train, other: Store, monkeypatch) -> None:
    (first,) = train(3)
    take, taken = Trajectory._take_step, []

    def dies_at_six(self) -> None:
        taken.append(self.position.step)
        if self.position.step == 6:
            raise KeyboardInterrupt
        take(self)

    with monkeypatch.context() as killed:
        killed.setattr(Trajectory, "_take_step", dies_at_six)
        with pytest.raises(KeyboardInterrupt):
            train(8)
    assert taken == [3, 4, 5, 6]
    (rung,) = train(8)
    assert known(rung) == known(train(8, where=other)[0])
    assert first.marks == rung.marks[:2]


def test_a_run_that_meets_the_deadline_keeps_its_state(train: Train, resnet, digits, store: Store, other: Store) -> None:
    with pytest.raises(OutOfTimeError, match="was not ready after 10 min"):
        train_rungs(resnet, digits, [Wanted("full", 1e-3, 0, 8)], PARAMS, EXTRACT, store, Deadline(time.time() - 1, 600))
    (rung,) = stored_rungs(resnet, digits, PARAMS, EXTRACT, store)
    assert (rung.step, rung.over) == (1, False)
    assert known(train(8)[0]) == known(train(8, where=other)[0])


def test_what_is_known_needs_neither_images_nor_model(train: Train, resnet, digits, store: Store, monkeypatch) -> None:
    rungs = train(4, 8) + train(4, rate=1e-2)
    monkeypatch.setattr("itm.finetuning.pair.read_images", None)
    monkeypatch.setattr("itm.zoo.load.build", None)
    assert train(4, 8)[1] == rungs[1]
    assert set(stored_rungs(resnet, digits, PARAMS, EXTRACT, store)) == set(rungs[1:])
    assert stored_rungs(resnet, digits, PARAMS.model_copy(update={"steps": 9}), EXTRACT, store) == ()
    mark = rungs[2].mark_at(4)
    assert mark
    step, accuracy, loss = mark
    assert (step, accuracy, loss) == (4, mark.accuracy, mark.loss)
    assert rungs[2].mark_at(3) is None


def test_a_later_rung_pays_no_embeddings_again(train: Train, monkeypatch) -> None:
    first = train(2)
    monkeypatch.setattr("itm.finetuning.training.Training._embed", None)
    monkeypatch.setattr("itm.finetuning.pair.train_head", None)
    (later,) = train(4)
    assert (later.head_accuracy, later.start_seconds) == (first[0].head_accuracy, first[0].start_seconds)
    (rate,) = train(2, rate=1e-2)
    assert rate.head_accuracy == first[0].head_accuracy


def test_forgotten_states_keep_what_is_known(train: Train, resnet, digits, store: Store) -> None:
    (before,) = train(4)
    assert list((store.root / "states").rglob("*.safetensors"))
    forget_states(resnet, digits, store)
    assert not list((store.root / "states").rglob("*.safetensors"))
    assert stored_rungs(resnet, digits, PARAMS, EXTRACT, store) == (before,)
    (after,) = train(6)
    assert after.marks[: len(before.marks)] == before.marks
    assert (after.step, after.finite) == (6, True)


def test_a_damaged_state_begins_again(train: Train, store: Store, other: Store, caplog) -> None:
    train(4)
    (path,) = (store.root / "states").rglob("*.safetensors")
    path.write_bytes(b"damaged")
    assert known(train(8)[0]) == known(train(8, where=other)[0])
    assert "the state of a fine-tuning run cannot be read" in caplog.text


def test_finetune_uses_rungs_and_leaves_them(train: Train, run, resnet, digits, other: Store, monkeypatch) -> None:
    options = PARAMS.model_dump() | {"seeds": 1}
    rungs = [train(2, 8, rate=rate)[1] for rate in PARAMS.learning_rates]
    best = max(rungs, key=lambda rung: (rung.mark_at(4).accuracy, -rung.mark_at(4).loss))
    with monkeypatch.context() as without_training:
        without_training.setattr(Trajectory, "advance", None)
        (found,) = run(resnet, resume="only-cache", **options)
    assert found.cached
    assert (found.learning_rate, found.test_accuracy, found.best_step) == (
        best.learning_rate,
        best.test_accuracy,
        best.best_step,
    )
    (fresh,) = finetune(resnet, digits, PARAMS, EXTRACT, other)
    timeless = {"seconds": 0.0, "images_per_second": 0.0, "cached": False}
    assert replace(fresh, **timeless) == replace(found, **timeless)
    stored = {rung.learning_rate: rung for rung in stored_rungs(resnet, digits, PARAMS, EXTRACT, other)}
    assert known(stored[best.learning_rate]) == known(best)
    assert {rate: rung.step for rate, rung in stored.items() if rate != best.learning_rate} == {
        rate: 4 for rate in PARAMS.learning_rates if rate != best.learning_rate
    }


def test_finetune_goes_on_from_the_half_of_a_search(train: Train, run, resnet, monkeypatch) -> None:
    rungs = [train(4, rate=rate)[0] for rate in PARAMS.learning_rates]
    take, taken = Trajectory._take_step, []
    monkeypatch.setattr(Trajectory, "_take_step", lambda self: taken.append(self.position.step) or take(self))
    (found,) = run(resnet, **PARAMS.model_dump() | {"seeds": 1})
    assert taken == [4, 5, 6, 7]
    assert found.learning_rate in {rung.learning_rate for rung in rungs}


def test_a_run_that_blows_up_is_over_and_has_no_test(train: Train, store: Store) -> None:
    (rung,) = train(8, rate=1e30)
    assert (rung.finite, rung.over, rung.test_accuracy) == (False, True, None)
    assert train(8, rate=1e30) == (rung,)
    assert not (store.root / "weights").exists()


def test_a_head_has_no_rungs() -> None:
    with pytest.raises(ParamsError, match="protocol 'head' has no rungs; use one of full, lora, norm, last_block"):
        Wanted("head", 1e-3, 0, 4)
