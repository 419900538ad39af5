"""Published tables of fine-tuned accuracies, as histories with facts of models and data sets."""

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from benchmarks.history_prior import DataFacts, History
from benchmarks.similarity import Facts
from itm.benchmark.published_table import PublishedPool, read_pools

SHIFT = "shift_vtab1k_matrix_lr0.01.csv"
TRANSFERGRAPH = "transfergraph_records_180hf_x_13.csv"
METADATA = "transfergraph_model_metadata.csv"  # of all models of TransferGraph and 184 of SHiFT
LEFT_OUT = ("food101",)  # 110 of 112 models are at chance
FAMILIES = ("convnext", "data2vec", "beit", "deit", "swin", "van", "dit", "perceiver", "mit", "vit")  # as written in names
KINDS = {  # groups of VTAB (Zhai et al., 2019), and those that its authors' criteria give for pets, flowers and cars
    "natural": "caltech101 cifar100 dtd flowers oxford_flowers102 oxford_iiit_pet pets stanfordcars sun397 svhn svhn_cropped",
    "specialised": "diabetic_retinopathy_detection eurosat patch_camelyon resisc45",
    "structured": "clevr_count clevr_distance dmlab dsprites_location dsprites_orientation kitti smallnorb_azimuth "
    "smallnorb_elevation smallnorb_label_azimuth smallnorb_label_elevation",
}
CLASSES = {
    2: "patch_camelyon",
    4: "kitti",
    5: "diabetic_retinopathy_detection",
    6: "clevr_distance dmlab",
    8: "clevr_count",
    9: "smallnorb_elevation smallnorb_label_elevation",
    10: "eurosat svhn svhn_cropped",
    16: "dsprites_location dsprites_orientation",
    18: "smallnorb_azimuth smallnorb_label_azimuth",
    37: "oxford_iiit_pet pets",
    45: "resisc45",
    47: "dtd",
    100: "cifar100",
    102: "caltech101 flowers oxford_flowers102",
    196: "stanfordcars",
    397: "sun397",
}


@dataclass(frozen=True, eq=False)
class PublishedHistory:
    """A published table as a history, the names of its data sets, and facts of its models."""

    name: str
    history: History
    data_sets: tuple[str, ...]
    facts: dict[str, Facts]


def read_histories(folder: Path) -> tuple[PublishedHistory, PublishedHistory]:
    """Return SHiFT and TransferGraph from `folder`, the folder of published facts."""
    metadata = {row["model"]: row for row in pl.read_csv(folder / METADATA).iter_rows(named=True)}
    (shift,) = read_pools(folder / SHIFT)
    (graph,) = read_pools(folder / TRANSFERGRAPH, accuracy="test_accuracy")
    return _published("SHiFT", shift, metadata), _published("TransferGraph", graph, metadata)


def _published(name: str, pool: PublishedPool, metadata: dict[str, dict[str, object]]) -> PublishedHistory:
    rows = [row for row, data in enumerate(pool.data_sets) if data not in LEFT_OUT]
    names = tuple(pool.data_sets[row] for row in rows)
    history = History(pool.models, tuple(map(data_facts, names)), pool.truth[rows].T)
    return PublishedHistory(name, history, names, {model: model_facts(model, metadata.get(model, {})) for model in pool.models})


def data_facts(name: str) -> DataFacts:
    """Return the number of classes of a data set and its kind: natural, specialised or structured."""
    kind = next(kind for kind, names in KINDS.items() if name in names.split())
    classes = next(classes for classes, names in CLASSES.items() if name in names.split())
    return DataFacts(classes, {"kind": kind})


def model_facts(name: str, metadata: dict[str, object]) -> Facts:
    """Return what is known of a model: family, parameters, input size and pre-training data. A family may be in its name."""
    family = metadata.get("model_type") or next((family for family in FAMILIES if family in name.lower()), None)
    facts = {
        "family": family,
        "parameters": metadata.get("n_parameters"),
        "input": metadata.get("input_shape"),
        "pretraining": metadata.get("pretrain_dataset"),
    }
    return {key: value for key, value in facts.items() if isinstance(value, str | float)}


def without(history: History, *columns: int) -> History:
    """Return the history without some data sets."""
    keep = [number for number in range(len(history.data)) if number not in columns]
    return History(history.models, tuple(history.data[number] for number in keep), history.accuracies[:, keep])
