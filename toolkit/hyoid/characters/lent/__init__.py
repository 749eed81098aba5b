# SPDX-License-Identifier: Apache-2.0
"""What models without eyes, a mouth or pictures are lent, so that no head looks blind or empty."""
