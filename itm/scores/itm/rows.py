"""Standardised embeddings of samples with equal shape, read in batches or blocks of rows.

Each feature gets mean 0 and standard deviation 1 over all rows (step 1 of ITM). Samples that fit into memory are standardised
once and kept. Larger ones stay where they are, usually memory-mapped, and are standardised whenever rows of them are read.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from itm.scores.sample import Sample

Tensor = torch.Tensor
KEPT = 512 * 2**20  # bytes of standardised embeddings that are kept in main memory at most
BLOCK = 2**18  # numbers read at once: they stay within the processor's cache
SMALLEST_SPREAD = 1e-6  # relative to the widest feature; features below it count as constant


def kept_bytes(sample: Sample) -> int:
    """Return the size in bytes of the standardised embeddings of a sample."""
    return 4 * int(sample.table.shape[1]) * len(sample.labels)


class Rows:
    """The rows of all samples with one numbering: row r of sample p has the number p * count + r."""

    def __init__(self, samples: Sequence[Sample], device: torch.device, room: int | None = None) -> None:
        """Keep the rows on the device if they take at most `room` bytes (None: `KEPT`)."""
        self.count, self.width, self.device = len(samples[0].labels), samples[0].table.shape[1], device
        self._sources = [_Source(sample) for sample in samples]
        self._kept: Tensor | None = None
        if sum(map(kept_bytes, samples)) <= (KEPT if room is None else room):
            kept = torch.empty(len(samples), self.count, self.width, device=device)
            for source, table in zip(self._sources, kept, strict=True):
                for start, block in source.blocks(0, self.count):
                    table[start : start + len(block)] = torch.from_numpy(source.standardised(block))
            self._kept = kept.view(-1, self.width)

    def block(self, sample: int, start: int, stop: int) -> Tensor:
        """Return consecutive rows [m, d] of one sample. The tensor is read-only by contract."""
        if self._kept is not None:
            return self._kept[sample * self.count + start : sample * self.count + stop]
        source, found = self._sources[sample], np.empty((stop - start, self.width), dtype=np.float32)
        for first, block in source.blocks(start, stop):
            found[first - start : first - start + len(block)] = source.standardised(block)
        return torch.from_numpy(found).to(self.device)

    def take(self, rows: Tensor, out: Tensor) -> None:
        """Write rows with the numbers `rows` [m], given on the CPU, into `out` [m, d]."""
        if self._kept is not None:
            torch.index_select(self._kept, 0, rows.to(self.device), out=out)
            return
        owner = rows // self.count
        for number in owner.unique().tolist():
            mine = owner == number
            source = self._sources[number]
            found = torch.from_numpy(source.standardised(source.read((rows[mine] - number * self.count).numpy())))
            if mine.all():
                out.copy_(found)
            else:
                out[mine.to(self.device)] = found.to(self.device)


class _Source:
    """The table of one sample with the mean and standard deviation of its features, computed in one pass."""

    def __init__(self, sample: Sample) -> None:
        self.sample = sample
        mean, spread = self._moments()
        widest = spread.max()
        scale = 1 / np.maximum(spread, SMALLEST_SPREAD * widest if widest > 0 else 1.0)
        self.dtype = np.float32 if sample.table.dtype == np.float32 and 1e-30 < widest < 1e30 else np.float64
        # The mean is subtracted in two parts: where a feature is far from 0, the rounding of one part would shift it.
        self.centre, self.scale = mean.astype(self.dtype), scale.astype(self.dtype)
        self.shift = ((self.centre - mean) * scale).astype(self.dtype)

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Return a copy of some rows [m, d]."""
        return np.asarray(self.sample.table[self.sample.rows[rows]])

    def blocks(self, start: int, stop: int) -> Iterator[tuple[int, np.ndarray]]:
        """Yield the rows from `start` to `stop` in blocks: the number of the first row, and a copy of the rows."""
        size = max(1, BLOCK // self.sample.table.shape[1])
        for first in range(start, stop, size):
            yield first, self.read(np.arange(first, min(first + size, stop)))

    def standardised(self, block: np.ndarray) -> np.ndarray:
        """Return rows with every feature at mean 0 and standard deviation 1, in float32."""
        values = block.astype(self.dtype, copy=False)
        values = np.subtract(values, self.centre, out=values if values.flags.writeable else None)
        values *= self.scale
        values += self.shift
        return np.asarray(values, dtype=np.float32)

    def _moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and standard deviation of every feature in float64.

        Blocks are merged by their means and squared deviations (Chan, Golub, LeVeque 1979). That is accurate even if the
        mean is far larger than the deviations.
        """
        mean, squares = np.zeros(1), np.zeros(1)
        for start, block in self.blocks(0, len(self.sample.rows)):
            values = block.astype(np.float64)
            more, total = len(values), start + len(values)
            centre = values.mean(axis=0)
            values -= centre
            apart = centre - mean
            squares = squares + np.einsum("ij,ij->j", values, values) + apart**2 * (start * more / total)
            mean = mean + apart * (more / total)
        return mean, np.sqrt(squares / len(self.sample.rows))
