"""The mini pool can be trained again: every recipe, from pictures to an entry of the zoo file that loads."""

import dataclasses
import io
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from PIL import Image

from benchmarks.pretraining.contrastive import DINO, SimCLR
from benchmarks.pretraining.main import pretrain_flow
from benchmarks.pretraining.masked import MAE, MaskFeat, SimMIM
from benchmarks.pretraining.pictures import Pictures, drawn, from_parquet, views
from benchmarks.pretraining.recipes import POOLED, RECIPES, SIZE, VIT, Recipe, recipe
from benchmarks.pretraining.training import save, train
from itm.core.errors import DataError, ModelError
from itm.zoo.load import build
from itm.zoo.timm_import import timm
from itm.zoo.zoo_file import read_zoo_file


@pytest.fixture(scope="module")
def pictures() -> Pictures:
    """Return sixty drawings of every family."""
    return drawn(60)


def short(name: str, steps: int = 3) -> Recipe:
    """Return a recipe cut down to a few small steps."""
    return dataclasses.replace(recipe(name), pictures=16 * steps, batch=16)


@pytest.mark.parametrize("name", [one.name for one in RECIPES])
def test_recipe_gives_a_checkpoint_that_loads(name: str, pictures: Pictures, tmp_path: Path) -> None:
    """Every recipe trains, and what it writes is an entry of at most 1.5 MB that builds with all its weights."""
    model = train(short(name), pictures, seed=0)
    save(model, recipe(name), pictures, tmp_path)
    assert (tmp_path / f"{name}.safetensors").stat().st_size <= 1.5e6
    built = build(read_zoo_file(tmp_path / "zoo.yaml").models[name])
    images = torch.randn(2, 3, SIZE, SIZE)
    one, other = (m.forward_head(m.forward_features(images), pre_logits=True) for m in (model, built))  # type: ignore[operator]
    torch.testing.assert_close(one, other, rtol=0.05, atol=0.02)  # half precision


def test_pool_is_that_of_the_paper() -> None:
    """The pool has four supervised CNNs, three contrastive and three masked-image ViTs."""
    aims = [one.aim for one in RECIPES]
    assert aims == ["supervised"] * 4 + ["simclr", "moco", "dino", "mae", "simmim", "maskfeat"]
    assert all(one.architecture.startswith("vit") == (one.aim != "supervised") for one in RECIPES)


def test_same_seed_same_weights(pictures: Pictures) -> None:
    """Training is decided by the seed alone."""
    name = "mini_vit_tiny_patch16_224.mae"
    one, same, other = (train(short(name, 2), pictures, seed=seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(one[key], same[key]) for key in one)
    assert not all(torch.equal(one[key], other[key]) for key in one)


def vit(pooled: bool) -> torch.nn.Module:
    """Return the pool's vision transformer with random weights."""
    torch.manual_seed(0)
    return timm.create_model("vit_tiny_patch16_224", **(POOLED if pooled else VIT))  # type: ignore[no-any-return]


@pytest.mark.parametrize("objective", [SimCLR, DINO, MAE, SimMIM, MaskFeat])
def test_objective_is_learnt(objective: type, pictures: Pictures) -> None:
    """Steps on one batch bring the loss of an objective down, so its gradient reaches the backbone."""
    aim = objective(vit(pooled=objective is not DINO), SIZE)
    optimiser = torch.optim.Adam([p for p in aim.parameters() if p.requires_grad], 1e-3)
    before = {name: value.clone() for name, value in aim.backbone.named_parameters()}
    losses = []
    for step in range(8):
        torch.manual_seed(step % 2)
        loss = aim.loss(pictures.pixels[:24], pictures.labels[:24])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        aim.after_step(0.0)
        losses.append(loss.item())
    assert sum(losses[-2:]) < sum(losses[:2])
    changed = [name for name, value in aim.backbone.named_parameters() if not torch.equal(value, before[name])]
    assert len(changed) > 0.9 * len(before)


def test_teacher_follows_slowly() -> None:
    """DINO's teacher starts as the student, takes no gradient, and moves a hundredth of the way in a step."""
    aim = DINO(vit(pooled=False), SIZE)
    student, teacher = next(aim.backbone.parameters()), next(aim.teacher.parameters())
    assert torch.equal(student, teacher)
    assert not teacher.requires_grad
    with torch.no_grad():
        student += 1
    aim.after_step(0.0)
    torch.testing.assert_close(student - teacher, torch.full_like(student, 0.99))


def test_masked_loss_sees_hidden_patches_alone() -> None:
    """A perfect guess of the hidden patches has no loss, whatever is said of the visible ones."""

    class Told(SimMIM):
        def target(self, seen: torch.Tensor) -> torch.Tensor:  # noqa: ARG002
            return self.known

    aim = Told(vit(pooled=True), SIZE)
    order = torch.arange(aim.patches).expand(2, -1)
    aim.shuffled = lambda _: order  # type: ignore[method-assign]
    target = torch.zeros(2, aim.patches, 3 * aim.patch**2)
    with torch.no_grad():
        aim.predict.weight.zero_()
        aim.predict.bias.zero_()
    target[:, : aim.visible] = 5.0
    aim.known = target
    assert aim.loss(torch.zeros(2, 3, SIZE, SIZE, dtype=torch.uint8), torch.zeros(2)) == 0
    target[:, aim.visible :] = 1.0
    assert aim.loss(torch.zeros(2, 3, SIZE, SIZE, dtype=torch.uint8), torch.zeros(2)).item() == pytest.approx(1.0)


def test_views_are_crops_in_the_models_range(pictures: Pictures) -> None:
    """A view has the size asked for, two of one picture differ, and the whole picture without changes is the picture."""
    torch.manual_seed(0)
    seen, again = (views(pictures.pixels[:8], 32, 0.3, 0.4) for _ in range(2))
    assert seen.shape == (8, 3, 32, 32)
    assert -2 <= float(seen.min()) < float(seen.max()) <= 2
    assert not torch.allclose(seen, again)
    flat = torch.full((1, 3, 48, 48), 51, dtype=torch.uint8)
    torch.testing.assert_close(views(flat, 48, 1.0, 0.0), torch.full((1, 3, 48, 48), (0.2 - 0.5) / 0.25))


def jpeg(side: int = 8) -> bytes:
    """Return the bytes of a small picture."""
    stream = io.BytesIO()
    Image.fromarray(np.full((side, side, 3), 90, dtype=np.uint8)).save(stream, "JPEG")
    return stream.getvalue()


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({"class": ["a"], "picture": [b""]}, "no column jpeg"),
        ({"class": ["a", "b"], "jpeg": [jpeg(), b"no image"]}, "row 1 cannot be decoded"),
        ({"class": ["a", "b"], "jpeg": [jpeg(8), jpeg(9)]}, "2 sizes"),
    ],
)
def test_pictures_that_cannot_be_read(table: dict[str, list[object]], told: str, tmp_path: Path) -> None:
    """A table of pictures that is not one says where it is wrong."""
    pl.DataFrame(table).write_parquet(tmp_path / "p.parquet")
    with pytest.raises(DataError, match=told):
        from_parquet(tmp_path / "p.parquet", "mine")


def test_pictures_of_a_table(tmp_path: Path) -> None:
    """Classes are numbered in alphabetical order and pixels come as they are."""
    pl.DataFrame({"class": ["b", "a", "b"], "jpeg": [jpeg()] * 3}).write_parquet(tmp_path / "p.parquet")
    found = from_parquet(tmp_path / "p.parquet", "mine")
    assert found.labels.tolist() == [1, 0, 1]
    assert found.classes == 2
    assert (found.pixels.shape, int(found.pixels[0, 0, 0, 0])) == ((3, 3, 8, 8), 90)


def test_unknown_recipe() -> None:
    """A model that the pool lacks is met with its nearest name."""
    with pytest.raises(ModelError, match=r"did you mean 'mini_vit_tiny_patch16_224\.mae'"):
        recipe("mini_vit_tiny_patch16_224.mea")


@pytest.mark.slow
def test_flow_writes_into_the_zoo(tmp_path: Path) -> None:
    """The flow that is committed trains the models it is given and leaves them in one zoo file."""
    chosen = [short("mini_resnet18.supervised"), short("mini_vit_tiny_patch16_224.simmim")]
    pretrain_flow(chosen, None, "drawings", 60, tmp_path, 0)
    zoo = read_zoo_file(tmp_path / "zoo.yaml")
    assert sorted(zoo.models) == ["mini_resnet18.supervised", "mini_vit_tiny_patch16_224.simmim"]
    assert not zoo.broken
