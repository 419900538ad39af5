"""The ITM paper's own table: 20 checkpoints fine-tuned on 11 data sets (Zheng et al., NeurIPS 2025, arXiv 2510.23145).

The table names architectures, not files. A checkpoint is `certain` here where its row's name has one published file; where
there are several, the `note` says which one is taken, and the comparison repeats it: a pool whose checkpoints are not those
that were fine-tuned says nothing about a score.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from itm.core.errors import ParamsError, did_you_mean
from itm.core.types import Preprocessing
from itm.zoo.resolve import matches

NAME = "itm20"
TABLE = "itm_hub"  # what the accuracy file's column `benchmark` calls it, where it has that column


@dataclass(frozen=True)
class Checkpoint:
    """What stands for one row: timm's ``architecture.tag``, or a file that timm does not have with the `factory` for it.

    Such a `file` lies where torch keeps what it downloads; `published` is its address, or the page it is to be had from.
    """

    row: str
    name: str
    certain: bool = True
    note: str = ""
    factory: str = ""
    file: str = ""
    published: str = ""
    preprocessing: Preprocessing = field(default_factory=Preprocessing)


@dataclass(frozen=True)
class DataSet:
    """A public data set: `name` is its folder or index below the data root, `classes` the counts that are in use for it."""

    name: str
    published: str
    classes: tuple[int, ...]
    images: int
    note: str = ""


TORCHVISION = Preprocessing(224, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), 0.875, "bilinear")
SELF_SUPERVISED = replace(TORCHVISION, interpolation="bicubic")
FILES = "https://download.pytorch.org/models"
FIRST_OF_TWO = "torchvision has two, the first is taken; its second recipe reaches up to five points more on ImageNet"

CHECKPOINTS = (
    Checkpoint("densenet121", "densenet121.tv_in1k"),
    Checkpoint("densenet161", "densenet161.tv_in1k"),
    Checkpoint("densenet169", "densenet169.tv_in1k"),
    Checkpoint("densenet201", "densenet201.tv_in1k"),
    Checkpoint(
        "efficientnet_b0",
        "tf_efficientnet_b0.aa_in1k",
        certain=False,
        note="the efficientnet_pytorch package is said to have been used; this is timm's port of the same original",
    ),
    Checkpoint(
        "googlenet",
        "googlenet.torchvision_v1",
        factory="googlenet",
        file="googlenet-1378be20.pth",
        published=f"{FILES}/googlenet-1378be20.pth",
        preprocessing=Preprocessing(224, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), 0.875, "bilinear"),
    ),
    Checkpoint("inception_v3", "inception_v3.tv_in1k"),
    Checkpoint(
        "mnasnet1_0",
        "mnasnet1_0.torchvision_v1",
        factory="mnasnet1_0",
        file="mnasnet1.0_top1_73.512-f206786ef8.pth",
        published=f"{FILES}/mnasnet1.0_top1_73.512-f206786ef8.pth",
        preprocessing=TORCHVISION,
    ),
    Checkpoint(
        "mobilenet_v2",
        "mobilenet_v2.torchvision_v1",
        certain=False,
        note=FIRST_OF_TWO,
        factory="mobilenet_v2",
        file="mobilenet_v2-b0353104.pth",
        published=f"{FILES}/mobilenet_v2-b0353104.pth",
        preprocessing=TORCHVISION,
    ),
    Checkpoint("resnet18", "resnet18.tv_in1k"),
    Checkpoint("resnet34", "resnet34.tv_in1k"),
    Checkpoint("resnet50", "resnet50.tv_in1k", certain=False, note=FIRST_OF_TWO),
    Checkpoint("resnet101", "resnet101.tv_in1k", certain=False, note=FIRST_OF_TWO),
    Checkpoint("resnet152", "resnet152.tv_in1k", certain=False, note=FIRST_OF_TWO),
    Checkpoint("dino_vitb16", "vit_base_patch16_224.dino"),
    Checkpoint("dino_vits8", "vit_small_patch8_224.dino"),
    Checkpoint(
        "mocov3_vitb16",
        "vit_base_patch16_224.mocov3_300ep",
        factory="mocov3_vitb16",
        file="vit-b-300ep.pth.tar",
        published="https://dl.fbaipublicfiles.com/moco-v3/vit-b-300ep/vit-b-300ep.pth.tar",
        preprocessing=SELF_SUPERVISED,
    ),
    Checkpoint("mae_vitb16", "vit_base_patch16_224.mae"),
    Checkpoint("mae_vitl16", "vit_large_patch16_224.mae"),
    Checkpoint(
        "simmim_vitb16",
        "vit_base_patch16_224.simmim_800ep",
        certain=False,
        note="the 800-epoch file before fine-tuning is taken; how its embeddings were pooled is not known, here over patches",
        factory="simmim_vitb16",
        file="simmim_pretrain__vit_base__img224__800ep.pth",
        published="https://github.com/microsoft/SimMIM",
        preprocessing=SELF_SUPERVISED,
    ),
)

DATA_SETS = (
    DataSet("aircraft", "FGVC-Aircraft, variants", (100,), 10_000),
    DataSet("caltech101", "Caltech-101", (101, 102), 8_677, "the background is a class in some uses: 102, with 9,144 images"),
    DataSet("cars", "Stanford Cars", (196,), 16_185),
    DataSet("cifar10", "CIFAR-10", (10,), 60_000),
    DataSet("cifar100", "CIFAR-100", (100,), 60_000),
    DataSet("dtd", "Describable Textures (DTD)", (47,), 5_640),
    DataSet("flowers", "Oxford 102 Flowers", (102,), 8_189),
    DataSet("food", "Food-101", (101,), 101_000),
    DataSet("pets", "Oxford-IIIT Pet", (37,), 7_349),
    DataSet("sun397", "SUN397", (397,), 108_754),
    DataSet(
        "voc2007", "PASCAL VOC 2007", (20,), 9_963, "an image shows several; how the paper made one label of it is not known"
    ),
)


def checkpoints(patterns: Sequence[str]) -> tuple[Checkpoint, ...]:
    """Return the checkpoints whose row one of `patterns` names, exactly or as a wildcard, in the table's order.

    Raises
    ------
    ParamsError
        If a pattern names none; the message names the nearest.
    """
    rows = [checkpoint.row for checkpoint in CHECKPOINTS]
    chosen: set[str] = set()
    for pattern in patterns:
        found = matches(pattern, rows)
        if not found:
            raise ParamsError(f"{NAME} has no row {pattern!r}{did_you_mean(pattern, rows)} It has: {', '.join(rows)}.")
        chosen.update(found)
    return tuple(checkpoint for checkpoint in CHECKPOINTS if checkpoint.row in chosen)
