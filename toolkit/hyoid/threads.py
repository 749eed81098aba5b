# SPDX-License-Identifier: Apache-2.0
"""How many threads products of matrices take: one, where more are no faster and would show in the last digits."""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def one_blas_thread() -> Iterator[None]:
    """Within it products of NumPy and SciPy take one thread, so that a result does not follow from the number."""
    # Limits reach what is loaded, and SciPy brings a BLAS of its own.
    import scipy.linalg
    import scipy.sparse.linalg  # noqa: F401

    with _libraries("torch" in sys.modules).limit(limits=1, user_api="blas"):
        yield


@functools.cache
def _libraries(torch: bool) -> Any:
    """What multiplies matrices in this process; looked for again when ``torch`` came, for that takes milliseconds."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
