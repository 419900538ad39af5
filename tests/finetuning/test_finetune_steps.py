"""Long fine-tuning: an estimate before it starts, progress while it runs, and a limit that ends it."""

import logging
import time
from dataclasses import replace

import pytest

from itm.core.errors import ModelError
from itm.core.params import Params
from itm.core.sections import FinetuneParams
from itm.core.text import duration
from itm.core.types import ModelRef
from itm.core.yaml_records import parse
from itm.finetuning import estimate
from itm.finetuning.estimate import estimates, log_estimate
from itm.finetuning.pairs import FINETUNE
from itm.finetuning.runs import finetune
from itm.finetuning.steps import Deadline, Progress, learning_rates, total_steps
from itm.run.plan import Plan
from itm.store.layout import Store

pytestmark = pytest.mark.slow

OPTIONS = {"seeds": 1, "steps": 12, "evaluations": 2, "learning_rates": [1e-4, 1e-2], "few_images_divisor": 1, "batch_size": 8}


@pytest.fixture
def params() -> Params:
    return parse({"finetune": OPTIONS, "extract": {"device": "cpu"}}, Params, "test")


def test_an_estimate_counts_all_steps_and_leaves_out_what_cannot_be_built(resnet, digits, params) -> None:
    broken = replace(resnet, name="broken", checkpoint=resnet.checkpoint.with_name("gone.safetensors"))
    (one,) = estimates([(resnet, digits), (broken, digits)], params)
    assert (one.model, one.steps) == (resnet.name, 2 * 6 + 12)
    assert one.seconds > one.steps * one.step_seconds > 0
    more = params.model_copy(update={"finetune": FinetuneParams.model_validate(OPTIONS | {"seeds": 4})})
    (four,) = estimates([(resnet, digits)], more)
    assert four.steps == 2 * 6 + 4 * 12
    assert total_steps(FinetuneParams(), 5) == 5 * 100 + 2 * 200
    assert total_steps(FinetuneParams(protocols=("head",)), 5) == 0


def test_the_estimate_is_said_before_long_work_with_what_shortens_it(
    resnet, digits, params, store, caplog, monkeypatch
) -> None:
    planned = Plan((digits,), (resnet,), ((resnet, digits),), (FINETUNE,))
    caplog.set_level(logging.INFO)
    log_estimate(planned, params, store)
    assert "takes at most" not in caplog.text  # a few seconds are not worth a line
    monkeypatch.setattr(estimate, "SHORT", 0)
    log_estimate(planned, params, store)
    assert f"{resnet.name} on {digits.name}: at most about " in caplog.text
    assert "(24 steps of " in caplog.text
    assert "fine-tuning 1 pair takes at most about" in caplog.text
    assert "To shorten it, lower --steps (12) or --seeds (1), or set --budget." in caplog.text
    caplog.clear()
    finetune(resnet, digits, params.finetune, params.extract, store)
    log_estimate(planned, params, store)
    assert caplog.text == ""  # everything is stored


def test_training_tells_rate_steps_and_time_left(run, resnet, caplog, monkeypatch) -> None:
    monkeypatch.setattr("itm.core.progress.LOG_EVERY", 0.0)
    caplog.set_level(logging.INFO)
    run(resnet, steps=12)
    lines = [record.getMessage() for record in caplog.records]
    assert any(line.startswith("digits: train images: 1 of 90 images, ") for line in lines)
    assert any(": embeddings: 16 of 150 images, " in line for line in lines)
    training = [line for line in lines if ": training: " in line]
    assert training[0].startswith(f"{resnet.name} on digits: training: 1 of 24 steps, ")
    assert all(" per second, about " in line and line.endswith(" left") for line in training)
    assert training[-1].split(": training: ")[1].startswith("23 of 24 steps")


def test_stored_and_early_stopped_runs_count_as_done() -> None:
    progress = Progress("a on b", 30, None)
    progress.skip(10)
    with progress.shown() as step:
        assert progress.left == 20
        with progress.run(12):
            for _ in range(5):
                step()
    assert progress.left == 8


def test_a_deadline_ends_training_and_finished_runs_are_kept(resnet: ModelRef, digits, params: Params, store: Store) -> None:
    over = Deadline(time.time() - 1, 600)
    head = params.finetune.model_copy(update={"protocols": ("head",)})
    assert len(finetune(resnet, digits, head, params.extract, store, over)) == 1
    with pytest.raises(ModelError, match=r"was not ready after 10 min, the limit of limits.seconds \(--budget\); its finished"):
        finetune(resnet, digits, params.finetune, params.extract, store, over)
    full, again = finetune(resnet, digits, params.finetune, params.extract, store, Deadline.after(600))
    assert (full.cached, again.cached) == (False, True)
    assert Deadline.after(None) is None


def test_durations_have_the_largest_suitable_units() -> None:
    assert [duration(s) for s in (0.2, 89, 91, 5399, 5460, 90_000)] == [
        "1 s",
        "89 s",
        "2 min",
        "1 h 30 min",
        "1 h 31 min",
        "25 h 0 min",
    ]


def test_few_images_lower_the_rates() -> None:
    assert learning_rates(FinetuneParams(), 199, 10)[0] == 1e-5
    assert learning_rates(FinetuneParams(), 200, 10)[0] == 3e-5
