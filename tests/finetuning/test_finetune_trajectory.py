"""A training run that stops, is stored and goes on."""

import pytest
import torch

from itm.core.sections import FinetuneParams
from itm.finetuning.head import Head, train_head
from itm.finetuning.training import Training
from itm.finetuning.trajectory import Trajectory, share
from itm.zoo import load
from tests.finetuning.conftest import TEN

pytestmark = pytest.mark.slow


@pytest.fixture
def training(images, resnet) -> Training:
    return Training(load.build(resnet), images, TEN, FinetuneParams(), "digits")


@pytest.fixture
def head(training: Training) -> Head:
    return train_head(training.embedded_at_start, TEN, 0)


def test_runs_start_from_the_checkpoint_again(training: Training, head: Head) -> None:
    first = Trajectory(training, head, 1e-3, 3, 1, 0).finish()
    Trajectory(training, head, 3e-2, 3, 1, 1).finish()
    again = Trajectory(training, head, 1e-3, 3, 1, 0).finish()
    assert first
    assert again
    assert all(torch.equal(value, again.state[name]) for name, value in first.state.items())


@pytest.mark.parametrize("stop", [1, 4, 7])
def test_a_run_that_was_stopped_ends_as_if_it_was_not(training: Training, head: Head, stop: int) -> None:
    whole = Trajectory(training, head, 1e-3, 8, 4, 0)
    expected = whole.finish()
    assert expected
    stopped = Trajectory(training, head, 1e-3, 8, 4, 0)
    stopped.advance(stop)
    snapshot, position = stopped.snapshot(), stopped.position
    Trajectory(training, head, 3e-2, 8, 4, 1).finish()  # another run of the same model
    resumed = Trajectory(training, head, 1e-3, 8, 4, 0)
    resumed.restore({name: value.contiguous() for name, value in snapshot.items()}, position)  # as a file gives them back
    found = resumed.finish()
    assert found
    assert resumed.position.marks == whole.position.marks
    assert (found.best_step, found.val) == (expected.best_step, expected.val)
    assert all(torch.equal(value, found.state[name]) for name, value in expected.state.items())


def test_a_short_run_is_the_beginning_of_a_long_one(training: Training, head: Head) -> None:
    run = Trajectory(training, head, 1e-3, 8, 4, 0)
    run.advance(3)
    between = run.evaluate()
    assert between
    assert between.step == 3
    assert [mark.step for mark in run.position.marks] == [2]
    run.advance(8)
    assert [mark.step for mark in run.position.marks] == run.evaluated_at == [2, 4, 6, 8]
    assert run.is_over


def test_a_run_whose_loss_blows_up_is_over(training: Training, head: Head) -> None:
    run = Trajectory(training, head, 1e30, 8, 4, 0)
    assert run.finish() is None
    assert run.is_over
    assert run.position.step < 8
    assert run.evaluate() is None


def test_the_learning_rate_rises_and_falls_to_nothing() -> None:
    shares = [share(step, 100, 0.1) for step in range(100)]
    assert 0 < shares[0] < 0.1
    assert shares[10] == max(shares) == 1
    assert shares[10:] == sorted(shares[10:], reverse=True)
    assert shares[-1] < 0.001
    assert share(0, 1, 0.1) == 1
