# SPDX-License-Identifier: Apache-2.0
"""FaceStab (Bednarik et al., "Learning to Stabilize Faces", Computer Graphics Forum 2024, arXiv 2411.15074).

The rigid motion that puts the skull of one expression on that of another. The authors publish neither code nor weights:
``network`` holds the paper's regressor and a network of our own, ``robust`` the alignment without learning, ``infer``
all of them behind one call, ``checkpoint`` the weights as a file, ``train`` how they come to be (docs/stabilize.md).
"""
