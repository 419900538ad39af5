"""The outputs of a model for all rows of a feature file, as they arrive on the host."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch

from itm.features.patches import Rows
from itm.store.feature_file import new_matrix


class Columns:
    """The outputs for all rows on the host. Those of a batch arrive while a GPU computes the next one."""

    def __init__(self, rows: Rows, folder: Path, in_memory: int) -> None:
        self._rows, self._folder, self._in_memory = rows, folder, in_memory
        self._columns: dict[str, np.ndarray] = {}
        self._pending: Callable[[], None] = lambda: None

    def add(self, outputs: dict[str, torch.Tensor], images: slice) -> None:
        """Begin to copy the outputs of consecutive images."""
        own = {name: self._rows.take(output, images) for name, output in outputs.items()}
        on_gpu = any(output.is_cuda for output in own.values())
        copies = {name: output.float().to("cpu", non_blocking=on_gpu) for name, output in own.items()}
        copied = torch.cuda.current_stream().record_event() if on_gpu else None
        self.finished()
        self._pending = partial(self._take, copies, copied, self._rows.place(images))

    def finished(self) -> dict[str, np.ndarray]:
        """Return the outputs by name, each [n, width], after waiting for the last ones."""
        self._pending()
        self._pending = lambda: None
        return self._columns

    def _take(self, copies: dict[str, torch.Tensor], copied: torch.Event | None, rows: slice) -> None:
        if copied:
            copied.synchronize()
        for name, copy in copies.items():
            if name not in self._columns:
                self._columns[name] = new_matrix(len(self._rows), copy.shape[1], self._folder, self._in_memory // len(copies))
            self._columns[name][rows] = copy.numpy()
