# SPDX-License-Identifier: Apache-2.0
"""A character performs a take, twice, and goes: what is left in the file."""

import bpy


def main(addon, args):
    before = counts()
    for mode in ("new", "nla"):
        bpy.ops.hyoid.create_character(part="head", settings='{"age": 0.5}')
        for _ in range(2):
            target = bpy.context.object.name
            bpy.ops.hyoid.import_take(filepath=args["path"], target=target, mode=mode, markers=False, sound=False)
        own = bpy.data.actions.new("the artist's own")
        own.use_fake_user = True
        bpy.ops.hyoid.remove_character()
    return {name: value - before[name] for name, value in counts().items() if value != before[name]}


def counts():
    groups = [name for name in dir(bpy.data) if hasattr(getattr(bpy.data, name), "remove")]
    return {name: len(getattr(bpy.data, name)) for name in groups}
