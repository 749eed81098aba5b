# SPDX-License-Identifier: Apache-2.0
"""KTPFormer (Peng et al., CVPR 2024, arXiv 2404.00658): tracks of 2D joints to 3D joints, many frames at once.

``network`` is the paper's network as plain functions of parameters by name, ``fast`` the same arranged for speed,
``checkpoint`` reads the official files and ours, ``infer`` lifts clips of any length, ``train`` holds the losses. The
official repository has no licence file and its weights come from Human3.6M; nothing of it is part of Hyoid
(docs/ktpformer.md).
"""

LICENCE = "LicenseRef-KTPFormer"
