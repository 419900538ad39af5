"""The peak of the memory that tensors need: of the allocator on a GPU, of all living tensors of this thread elsewhere."""

import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


@contextmanager
def peak_memory(target: torch.device, tensors: Iterable[torch.Tensor]) -> Iterator[Callable[[], int]]:
    """Yield the function that returns the peak of the block so far in bytes. It includes `tensors`, which exist before it."""
    if target.type == "cuda":
        torch.cuda.reset_peak_memory_stats(target)
        yield lambda: torch.cuda.max_memory_allocated(target)
        return
    with _LivingTensors(tensors) as living:
        yield lambda: living.peak


class _LivingTensors(TorchDispatchMode):
    """Adds up the bytes of living storages. What an operation needs only while it computes is not seen."""

    def __init__(self, tensors: Iterable[torch.Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.peak = self._bytes = 0
        self._living: dict[int, weakref.ref[torch.UntypedStorage]] = {}
        for tensor in tensors:
            self._add(tensor)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for found in tree_leaves(result):
            if isinstance(found, torch.Tensor):
                self._add(found)
        return result

    def _add(self, tensor: torch.Tensor) -> None:
        storage = tensor.untyped_storage()
        number, size = storage._cdata, storage.nbytes()
        if number in self._living:
            return
        self._bytes += size
        self.peak = max(self.peak, self._bytes)

        def forget(_: object) -> None:
            self._living.pop(number, None)
            self._bytes -= size

        self._living[number] = weakref.ref(storage, forget)
