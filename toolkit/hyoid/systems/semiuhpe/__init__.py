# SPDX-License-Identifier: Apache-2.0
"""SemiUHPE (Zhou et al., arXiv 2404.02544): the direction of one cropped head from any side, and how sure it is.

``network`` runs the seven published backbones and ours as plain functions of parameters by name, ``distribution`` is
the matrix Fisher distribution that its nine numbers stand for, ``checkpoint`` reads the official files and ours,
``infer`` goes from boxes in a picture to rotations, ``train`` holds both stages of the paper. The official code is
under the GPL and the weights come from data with non-commercial terms; nothing of either is part of Hyoid.
"""

LICENCE = "LicenseRef-SemiUHPE"
