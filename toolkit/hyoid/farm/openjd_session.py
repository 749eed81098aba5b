# SPDX-License-Identifier: Apache-2.0
"""``python -m hyoid.farm.openjd_session run ...``: openjd that leaves when its standard input ends.

That is when the command that started it is gone, however it went; by itself openjd would wait for a reader for ever.
"""

from __future__ import annotations

import runpy

from hyoid import cancel

if __name__ == "__main__":
    cancel.end_with_stdin()
    runpy.run_module("openjd", run_name="__main__", alter_sys=True)
