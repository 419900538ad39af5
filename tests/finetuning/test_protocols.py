"""What each protocol trains: adapters, normalisation layers, or the last block."""

import pytest
import torch
from torch import nn

from itm.core.errors import ModelError
from itm.core.sections import FinetuneParams
from itm.core.types import ModelRef
from itm.data.index import read_index
from itm.finetuning.head import train_head
from itm.finetuning.images import read_images
from itm.finetuning.lora import Adapters, linear_layers
from itm.finetuning.network import Network
from itm.finetuning.protocols import trained_parameters
from itm.finetuning.steps import learning_rates, total_steps
from itm.finetuning.training import Training
from itm.finetuning.trajectory import Trajectory
from itm.store.layout import Store
from itm.zoo import facts, load
from tests.finetuning.conftest import TEN

pytestmark = pytest.mark.slow

PARAMS = FinetuneParams(batch_norm="frozen", weight_decay=0.0)


@pytest.fixture
def vit(embedded) -> ModelRef:
    """Return a small embedded transformer."""
    return embedded("test_vit.drawn_long")


@pytest.fixture
def training(vit: ModelRef, digits, tmp_path) -> Training:
    config = facts.preprocessing_without_weights(vit)
    images = read_images(read_index(digits), digits, config, torch.device("cpu"), Store(tmp_path))
    return Training(load.build(vit), images, TEN, PARAMS, "vit on digits")


@pytest.fixture
def batch(training: Training) -> torch.Tensor:
    return next(training.images.batches("val"))[0]


def trajectory(training: Training, protocol: str, steps: int = 2) -> Trajectory:
    return Trajectory(training, train_head(training.embedded_at_start, TEN, 0), 1e-2, steps, 1, 0, protocol)


@pytest.mark.parametrize("protocol", ["lora", "norm", "last_block"])
def test_only_what_a_protocol_trains_moves(training: Training, protocol: str) -> None:
    run = trajectory(training, protocol)
    before = {name: value.clone() for name, value in training.model.state_dict().items()}
    names = trained_parameters(training.model.backbone, protocol, "vit")
    optimised = {id(parameter) for group in run.optimiser.param_groups for parameter in group["params"]}
    assert optimised == {id(parameter) for parameter in training.trained}
    run.advance(2)
    moved = {name for name, value in training.model.state_dict().items() if not torch.equal(value, before[name])}
    expected = {f"backbone.{name}" for name in names} | {"head.weight", "head.bias"}
    assert moved <= expected
    assert {"head.weight", "head.bias"} <= moved
    if protocol == "lora":
        assert all(b.count_nonzero() for _, b in training.adapters.factors.values())
    else:
        assert len(moved) > len(expected) / 2  # biases of keys have no gradient, since softmax cancels them
    trajectory(training, "full").advance(1)
    assert sum(not torch.equal(v, before[name]) for name, v in training.model.state_dict().items()) > len(before) / 2


def test_the_parts_of_a_transformer(training: Training) -> None:
    backbone = training.model.backbone
    shapes = {name: parameter.ndim for name, parameter in backbone.named_parameters()}
    norm = trained_parameters(backbone, "norm", "vit")
    assert {"blocks.0.norm1.weight", "blocks.0.norm1.bias", "blocks.0.mlp.fc1.bias"} <= norm
    assert all(shapes[name] == 1 for name in norm)
    last = trained_parameters(backbone, "last_block", "vit")
    number = len(backbone.blocks) - 1
    assert {name.partition(".")[0] for name in last} <= {"blocks", "norm", "fc_norm", "head"}
    assert {name.split(".")[1] for name in last if name.startswith("blocks")} == {str(number)}
    assert all(name.startswith("blocks.") for name in linear_layers(backbone))
    assert trained_parameters(backbone, "full", "vit") == set(shapes)


def test_adapters_begin_as_the_plain_model(training: Training, batch: torch.Tensor) -> None:
    plain = trajectory(training, "full").training.model.eval()(batch)
    adapted = trajectory(training, "lora").training.model.eval()(batch)
    assert training.adapters
    assert torch.equal(plain, adapted)


def test_merged_weights_have_the_outputs_of_the_adapters(training: Training, batch: torch.Tensor, vit: ModelRef) -> None:
    run = trajectory(training, "lora", steps=3)
    run.advance(2)
    adapted = training.model.eval()(batch)
    with training.adapters.plain(merge=True):
        inside = training.model(batch)
    torch.testing.assert_close(inside, adapted, atol=1e-4, rtol=1e-4)
    assert torch.equal(training.model(batch), adapted)  # and they are separate again
    with training.adapters.plain(merge=False):
        assert (training.model(batch) - adapted).abs().max() > 0.01
    run.advance(3)
    last = training.model.eval()(batch)
    trained = run.finish()
    outputs, width = training.model.head.weight.shape
    other = Network(load.build(vit), nn.Linear(width, outputs))
    other.load_state_dict(trained.state)
    torch.testing.assert_close(other.eval()(batch), last, atol=1e-4, rtol=1e-4)
    assert not any("adapters" in name for name in trained.state)
    assert training.evaluate("val", trained.state).accuracy == pytest.approx(trained.val.accuracy)


@pytest.mark.parametrize("protocol", ["lora", "norm", "last_block"])
def test_a_stopped_run_of_a_protocol_ends_as_if_it_was_not(training: Training, protocol: str) -> None:
    whole = trajectory(training, protocol, 4).finish()
    stopped = trajectory(training, protocol, 4)
    stopped.advance(2)
    snapshot, position = stopped.snapshot(), stopped.position
    full = trajectory(training, "full", 4)
    full.advance(1)
    assert sum(v.numel() for v in snapshot.values()) < sum(v.numel() for v in full.snapshot().values())
    again = trajectory(training, protocol, 4)
    again.restore(snapshot, position)
    found = again.finish()
    assert found.val == whole.val
    assert all(torch.equal(value, found.state[name]) for name, value in whole.state.items())


def test_a_model_without_linear_layers_is_told_of_norm(run, resnet: ModelRef) -> None:
    with pytest.raises(ModelError, match=r"drawn_long on .*: the blocks .* no linear layers for lora; use --protocol norm"):
        run(resnet, protocols=("lora",))


@pytest.mark.parametrize("protocol", ["norm", "last_block"])
def test_protocols_of_a_convolutional_network_learn(run, resnet: ModelRef, protocol: str) -> None:
    (found,) = run(resnet, steps=12, protocols=(protocol,))
    assert found.protocol == protocol
    assert found.test_accuracy > 0.5
    assert found.learning_rate in ((1e-3, 1e-1) if protocol == "norm" else (3e-4, 3e-2))


def test_batch_norm_and_the_last_stage_of_a_convolutional_network(resnet: ModelRef) -> None:
    backbone = load.build(resnet)
    norm = trained_parameters(backbone, "norm", "resnet")
    assert {"layer1.0.bn1.weight", "layer1.0.bn1.bias"} <= norm
    assert "layer1.0.conv1.weight" not in norm
    assert {name.partition(".")[0] for name in trained_parameters(backbone, "last_block", "resnet")} <= {"layer4", "fc"}


class Plain(nn.Module):
    """A model without stages whose last layer has no weights."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.Conv2d(4, 4, 3, bias=False), nn.Flatten())


def test_without_stages_the_last_child_with_weights_is_the_last_block() -> None:
    model = Plain()
    assert trained_parameters(model, "last_block", "plain") == {"inner.1.weight"}
    with pytest.raises(ModelError, match="plain: this model has nothing that protocol norm trains; use --protocol full"):
        trained_parameters(model, "norm", "plain")


def test_stages_without_weights_are_passed_over() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4))
    model.feature_info = [{"module": name} for name in ("0", "1", "2")]
    assert trained_parameters(model, "last_block", "plain") == {"1.weight", "1.bias", "2.weight", "2.bias"}


def test_an_adapter_that_is_not_called_has_no_effect() -> None:
    class Bypassed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.blocks = nn.ModuleList([nn.ModuleDict({"qkv": nn.Linear(4, 4)})])

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return nn.functional.linear(x, self.blocks[0]["qkv"].weight)

    model, x = Bypassed(), torch.randn(2, 4)
    adapters = Adapters(model, 0)
    model(x).sum().backward()
    assert [factor.grad for factor in adapters.parameters] == [None, None]
    before = model(x)
    with adapters.plain(merge=True):
        assert torch.equal(model(x), before)


def test_protocols_have_their_own_learning_rates_and_steps() -> None:
    params = FinetuneParams(protocols=("full", "head", "lora"))
    full, lora, last = (learning_rates(params, 500, 10, name) for name in ("full", "lora", "last_block"))
    assert lora == tuple(pytest.approx(10 * rate) for rate in full)
    assert last == tuple(pytest.approx(3 * rate) for rate in full)
    assert total_steps(params, 5) == 2 * (5 * 100 + 2 * 200)
