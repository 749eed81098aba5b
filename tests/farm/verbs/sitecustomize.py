# SPDX-License-Identifier: Apache-2.0
"""Makes the tests' verb known to every Python that is started with this folder on its path."""

from pathlib import Path

import hyoid.verbs

hyoid.verbs.SUMMARIES["wave"] = "smooth numbers (tests)"
hyoid.verbs.__path__.append(str(Path(__file__).resolve().parent))
