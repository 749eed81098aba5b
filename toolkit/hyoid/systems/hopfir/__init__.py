# SPDX-License-Identifier: Apache-2.0
"""HopFIR (Zhai et al., "HopFIR: Hop-wise GraphFormer with Intragroup Joint Refinement for 3D Human Pose Estimation",
ICCV 2023, arXiv 2302.14581): the 17 joints of one picture, lifted to three dimensions.

The authors publish neither code nor weights. ``network`` is a network of our own in the spirit of the paper's two
modules, ``checkpoint`` its weights as a file.
"""
