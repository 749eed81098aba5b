# SPDX-License-Identifier: Apache-2.0
"""Pictures of people and heads with exact truth, drawn from the bundled human, for training and for measuring.

:func:`crops` gives heads, :func:`scene` whole pictures; ``hyoid.synthetic.render_store`` has other processes draw them
beside a training.

The room: ``settings`` is what may be asked for and what comes back; ``bank`` the identities, ``styles`` who wears what,
``shells`` and ``wear`` its surfaces, ``pose`` the joints, ``person`` the dressed figure; ``drawing`` makes pixels,
``head_crops`` and ``scenes`` put them together, ``bodies`` and ``hands`` are more poses,
``backgrounds`` what is behind, ``photograph`` what light and camera do; ``sheet`` shows many at once.
"""

from hyoid.synthetic.heads.head_crops import crops
from hyoid.synthetic.heads.scenes import scene
from hyoid.synthetic.heads.settings import Camera, Crops, Scene, Settings
from hyoid.synthetic.heads.sheet import contact_sheet, drawn_axes

__all__ = ["Camera", "Crops", "Scene", "Settings", "contact_sheet", "crops", "drawn_axes", "scene"]
