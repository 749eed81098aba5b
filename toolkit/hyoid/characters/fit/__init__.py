# SPDX-License-Identifier: Apache-2.0
"""A character onto a head that the user brings: its identity fitted to a scan, its whole rig carried onto a mesh.

``fitting`` and ``transfer`` are the two things to call. Both find the head with ``placing`` and work on the skin of a
source (``template``, ``models``); ``mesh_parts``, ``pieces`` and ``mesh_order`` know the user's mesh, ``mesh_rig`` and
``closing`` make the character of it, ``quality`` measures it.
"""
