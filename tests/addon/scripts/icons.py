# SPDX-License-Identifier: Apache-2.0
"""Which of the add-on's icons this Blender does not have, and whether the words it draws with exist."""

import bpy


def main(addon, args):
    functions = bpy.types.UILayout.bl_rna.functions
    icons = {item.identifier for item in functions["label"].parameters["icon"].enum_items}
    progress = functions.get("progress")
    words = {name for name, parameter in progress.parameters.items()} if progress else None
    return {"missing": sorted(set(args["icons"]) - icons), "progress": words and sorted(words & {"factor", "text"})}
