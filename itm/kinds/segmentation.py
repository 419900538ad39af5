"""Semantic segmentation: every image has a mask with the class of each pixel, and scores work on its patches."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from itm.core.labels import find_look_alikes
from itm.core.text import format_fixed, join_names
from itm.core.types import TargetSpec
from itm.kinds.classification import MOST_NAMES, Classification
from itm.kinds.mask_target import MaskTarget
from itm.kinds.metrics import MEAN_IOU, PATCH_ACCURACY, Metric

if TYPE_CHECKING:
    import torch

LEAST_IMAGES = 5  # as many as there are folds
IGNORED = -1  # number of a pixel or a patch without a class


class Segmentation(Classification):
    """The target of an image is a mask, encoded as the number of its most frequent class; that of a patch is a class number.

    Classes are numbered in the order of their values in the masks.
    """

    name: ClassVar[str] = "segmentation"
    level: ClassVar[Literal["image", "patch"]] = "patch"
    metrics: ClassVar[tuple[Metric, ...]] = (PATCH_ACCURACY, MEAN_IOU)
    target_column: ClassVar[str] = "mask"
    baseline_label: ClassVar[str] = "Always predicting the most frequent class of all patches"
    held_out_meaning: ClassVar[str] = "The share of patches whose class a small classifier predicts correctly"

    @property
    def finetuned_metric(self) -> Metric:
        """Return the mean IoU, here of pixels."""
        return MEAN_IOU

    def read(self, text: str) -> str:
        return MaskTarget.read(text).text

    def specify(self, texts: Iterable[str]) -> TargetSpec:
        classes = {(value, name) for text in texts for value, name, _ in MaskTarget.read(text).classes}
        return TargetSpec(self.name, tuple(dict.fromkeys(name for _, name in sorted(classes))))

    def encode(self, texts: Sequence[str], spec: TargetSpec) -> np.ndarray:
        numbers = {name: number for number, name in enumerate(spec.names)}
        return np.array([numbers[MaskTarget.read(text).dominant] for text in texts], dtype=np.int64)

    def check(self, targets: np.ndarray, spec: TargetSpec, splits: Sequence[str | None]) -> list[str]:  # noqa: ARG002
        if len(targets) < LEAST_IMAGES:
            return [f"there are {len(targets)} usable images; segmentation needs {LEAST_IMAGES} or more"]
        if len(spec.names) == 1:
            return [f"all masks have only one class, {spec.names[0]!r}; a ranking needs two or more"]
        return []

    def warnings(self, spec: TargetSpec) -> list[str]:
        if alike := [" and ".join(map(repr, group)) for group in find_look_alikes(spec.names)]:
            names = join_names(alike, MOST_NAMES)
            return [f"these classes have nearly the same name: {names}; give them one value in the masks if they are one class"]
        return []

    def absent(self, targets: np.ndarray, spec: TargetSpec) -> list[str]:  # noqa: ARG002
        return []  # a mask has more classes than the one that it is encoded by

    def loss(self, output: "torch.Tensor", target: "torch.Tensor", spec: TargetSpec) -> "torch.Tensor":  # noqa: ARG002
        """Return the mean cross-entropy in nats of patches, or of the pixels of masks that are not ignored.

        For masks [n, height, width], outputs [n, classes, rows, columns] are enlarged to their size.
        """
        from torch.nn import functional

        if output.ndim == 4:
            output = functional.interpolate(output, target.shape[-2:], mode="bilinear", align_corners=False)
        total = functional.cross_entropy(output, target.long(), ignore_index=IGNORED, reduction="sum")
        return total / (target != IGNORED).sum().clamp_min(1)

    def note(
        self,
        measured: Mapping[str, float],
        metric: str | None,  # noqa: ARG002
        standard_error: float,  # noqa: ARG002
        names: Sequence[str] = (),  # noqa: ARG002
    ) -> str:
        if not {PATCH_ACCURACY.name, MEAN_IOU.name} <= measured.keys():
            return ""
        accuracy, overlap = (format_fixed(measured[one.name], 3) for one in self.metrics)
        return f"The first has a patch accuracy of {accuracy} and a mean IoU over patches of {overlap}."
