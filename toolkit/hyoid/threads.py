# SPDX-License-Identifier: Apache-2.0
"""How many threads products of matrices take: one, where more are no faster and would show in the last digits."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator


@contextlib.contextmanager
def one_blas_thread() -> Iterator[None]:
    """Within it products of NumPy and SciPy take one thread, so that a result does not follow from the number."""
    # Limits reach what is loaded, and SciPy brings a BLAS of its own.
    import scipy.linalg
    import scipy.sparse.linalg  # noqa: F401
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, user_api="blas"):
        yield
