"""The benchmark of the ITM paper: 20 checkpoints fine-tuned on 11 data sets (Zheng et al., NeurIPS 2025, arXiv 2510.23145).

The paper names architectures, not files. A row may have several published files. Then the `note` of its checkpoint
describes the choice, and it is shown with the comparison, because a comparison with other checkpoints is not valid.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from itm.core.errors import ParamsError, did_you_mean
from itm.core.types import Preprocessing
from itm.zoo.resolve import matches

NAME = "itm20"
TABLE = "itm_hub"  # its name in the column `benchmark` of a file of accuracies


@dataclass(frozen=True)
class Checkpoint:
    """The checkpoint of one row: timm's ``architecture.tag``, or a `file` with its `factory`.

    A `file` is in the cache of torch. `published` is its URL, or the page that offers it.
    """

    row: str
    name: str
    note: str = ""  # empty if the checkpoint is certain
    factory: str = ""
    file: str = ""
    published: str = ""
    preprocessing: Preprocessing = field(default_factory=Preprocessing)


@dataclass(frozen=True)
class DataSet:
    """A public data set. `name` is its folder or index below the data root, `classes` are its usual numbers of classes."""

    name: str
    published: str
    classes: tuple[int, ...]
    images: int
    note: str = ""


TORCHVISION = Preprocessing(224, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), 0.875, "bilinear")
SELF_SUPERVISED = replace(TORCHVISION, interpolation="bicubic")
FILES = "https://download.pytorch.org/models"
FIRST_OF_TWO = "torchvision has two, the first is used; the second has up to five points more on ImageNet"


def _torchvision(row: str, file: str, preprocessing: Preprocessing = TORCHVISION, note: str = "") -> Checkpoint:
    """Return a checkpoint of torchvision that timm does not have."""
    return Checkpoint(row, f"{row}.torchvision_v1", note, row, file, f"{FILES}/{file}", preprocessing)


CHECKPOINTS = (
    Checkpoint("densenet121", "densenet121.tv_in1k"),
    Checkpoint("densenet161", "densenet161.tv_in1k"),
    Checkpoint("densenet169", "densenet169.tv_in1k"),
    Checkpoint("densenet201", "densenet201.tv_in1k"),
    Checkpoint(
        "efficientnet_b0",
        "tf_efficientnet_b0.aa_in1k",
        "the paper reportedly used the efficientnet_pytorch package; this is timm's port of the same weights",
    ),
    _torchvision("googlenet", "googlenet-1378be20.pth", replace(TORCHVISION, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))),
    Checkpoint("inception_v3", "inception_v3.tv_in1k"),
    _torchvision("mnasnet1_0", "mnasnet1.0_top1_73.512-f206786ef8.pth"),
    _torchvision("mobilenet_v2", "mobilenet_v2-b0353104.pth", note=FIRST_OF_TWO),
    Checkpoint("resnet18", "resnet18.tv_in1k"),
    Checkpoint("resnet34", "resnet34.tv_in1k"),
    Checkpoint("resnet50", "resnet50.tv_in1k", FIRST_OF_TWO),
    Checkpoint("resnet101", "resnet101.tv_in1k", FIRST_OF_TWO),
    Checkpoint("resnet152", "resnet152.tv_in1k", FIRST_OF_TWO),
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
        "the 800-epoch file before fine-tuning is used; the pooling of the paper is unknown, here the mean over patches",
        factory="simmim_vitb16",
        file="simmim_pretrain__vit_base__img224__800ep.pth",
        published="https://github.com/microsoft/SimMIM",
        preprocessing=SELF_SUPERVISED,
    ),
)

DATA_SETS = (
    DataSet("aircraft", "FGVC-Aircraft, variants", (100,), 10_000),
    DataSet("caltech101", "Caltech-101", (101, 102), 8_677, "sometimes with the background class: 102 classes, 9,144 images"),
    DataSet("cars", "Stanford Cars", (196,), 16_185),
    DataSet("cifar10", "CIFAR-10", (10,), 60_000),
    DataSet("cifar100", "CIFAR-100", (100,), 60_000),
    DataSet("dtd", "Describable Textures (DTD)", (47,), 5_640),
    DataSet("flowers", "Oxford 102 Flowers", (102,), 8_189),
    DataSet("food", "Food-101", (101,), 101_000),
    DataSet("pets", "Oxford-IIIT Pet", (37,), 7_349),
    DataSet("sun397", "SUN397", (397,), 108_754),
    DataSet("voc2007", "PASCAL VOC 2007", (20,), 9_963, "images have several labels; the choice of the paper is unknown"),
)


def checkpoints(patterns: Sequence[str]) -> tuple[Checkpoint, ...]:
    """Return the checkpoints whose row matches one of `patterns`, names or wildcards, in the order of the paper.

    Raises
    ------
    ParamsError
        If a pattern matches no row.
    """
    rows = [checkpoint.row for checkpoint in CHECKPOINTS]
    chosen: set[str] = set()
    for pattern in patterns:
        matching = matches(pattern, rows)
        if not matching:
            raise ParamsError(f"{NAME} has no row {pattern!r}{did_you_mean(pattern, rows)} It has: {', '.join(rows)}.")
        chosen.update(matching)
    return tuple(checkpoint for checkpoint in CHECKPOINTS if checkpoint.row in chosen)


def check_name(name: str) -> None:
    """Raise a ParamsError if there is no such benchmark."""
    if name != NAME:
        raise ParamsError(f"no benchmark {name!r}{did_you_mean(name, [NAME])} Known: {NAME}.")
