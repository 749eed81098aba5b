# SPDX-License-Identifier: Apache-2.0
"""DirectMHP (Zhou, Jiang, Lu 2023, arXiv 2302.01110): all heads of a picture and their full-turn directions at once.

``network`` is the detector as plain functions of parameters by name, ``boxes`` what comes before and after it
(letterbox, decoding, suppression), ``checkpoint`` reads the official files and ours, ``infer`` finds heads, ``onnx``
writes the network as a graph, ``train`` holds assignment and losses. The official weights come from sets for research
only; nothing of them is part of Hyoid.
"""

LICENCE = "LicenseRef-DirectMHP"
