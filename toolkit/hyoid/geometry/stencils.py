# SPDX-License-Identifier: Apache-2.0
"""Sparse matrices that mix rows of points, with NumPy alone: the Python inside Blender has no SciPy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Stencil:
    """Row ``i`` is the sum of ``values[n] * points[columns[n]]`` for n from ``starts[i]`` to ``starts[i + 1]``.

    Attributes:
        starts: (rows + 1,) integers, rising. columns: (n,) int32. values: (n,) float64. count: number of columns.
    """

    starts: np.ndarray
    columns: np.ndarray
    values: np.ndarray
    count: int

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __matmul__(self, points: np.ndarray) -> np.ndarray:
        """Mixed points (rows, k) float64 of points (count, k)."""
        return self._sums(self.values[:, None] * np.asarray(points, np.float64)[self.columns])

    def head(self, rows: int) -> Stencil:
        """The first ``rows`` rows."""
        stop = self.starts[rows]
        return Stencil(self.starts[: rows + 1], self.columns[:stop], self.values[:stop], self.count)

    def take(self, rows: np.ndarray) -> Stencil:
        """The given rows, in their order."""
        sizes = np.diff(self.starts)[rows]
        starts = np.concatenate([[0], np.cumsum(sizes)])
        entries = np.repeat(self.starts[rows] - starts[:-1], sizes) + np.arange(starts[-1])
        return Stencil(starts, self.columns[entries], self.values[entries], self.count)

    def touched(self, columns: np.ndarray) -> np.ndarray:
        """The rows, rising, that read one of the given columns."""
        marked = np.zeros(self.count, bool)
        marked[columns] = True
        rows = np.repeat(np.arange(len(self)), np.diff(self.starts))
        return np.unique(rows[marked[self.columns]])

    def _sums(self, products: np.ndarray) -> np.ndarray:
        result = np.zeros((len(self), products.shape[1]))
        filled = np.flatnonzero(np.diff(self.starts))
        if len(filled):
            # Between two filled rows lie only empty ones, so the next start ends the sum.
            result[filled] = np.add.reduceat(products, self.starts[filled], axis=0)
        return result
