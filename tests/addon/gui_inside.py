# SPDX-License-Identifier: Apache-2.0
"""Runs inside a Blender with a window and does what ``gui.py`` asks: ``blender ... --python gui_inside.py -- FOLDER``.

A request is a Python file in the folder; its ``answer`` goes into a JSON file of the same number. Requests look and
prepare; what a user does, ``gui.py`` does from outside with mouse and keyboard. ``find`` puts the pointer on places of
a region until the button under it is the wanted one, as a user would read the labels.
"""

import ctypes
import json
import struct
import sys
import tempfile
import traceback
from pathlib import Path

import bpy

FOLDER = Path(sys.argv[sys.argv.index("--") + 1])
STATE = {"next": 1, "search": None}
TICK = 0.02
CLOSED, ACTIVE = 1 << 2, 1 << 2  # of Panel.flag, of Panel.runtime_flag


def area_of(kind):
    """The first area of a kind, "VIEW_3D" for one."""
    window = bpy.context.window_manager.windows[0]
    return window, next(area for area in window.screen.areas if area.type == kind)


def region_of(kind, region):
    """Window, area and region."""
    window, area = area_of(kind)
    return window, area, next(each for each in area.regions if each.type == region)


def pointed():
    """What is under the pointer: the words of an operator, or the path of a property, or nothing."""
    window, area, region = region_of(*STATE["search"]["region"])
    words = bpy.context.window_manager
    with bpy.context.temp_override(window=window, area=area, region=region):
        for command, options in (("copy_python_command_button", {}), ("copy_data_path_button", {"full_path": True})):
            operator = getattr(bpy.ops.ui, command)
            words.clipboard = ""
            try:
                if operator.poll() and operator(**options) == {"FINISHED"}:
                    return words.clipboard
            except RuntimeError:
                continue
    return ""


def find(wanted, region, box, columns, step=12):
    """Begin to look for a button whose command or path contains some words; the answer follows when it is found.

    Args:
        box: left, bottom, right, top in pixels of the window; None is the whole region.
        columns: how far to the right to look, as parts of the width.
    """
    _window, _area, place = region_of(*region)
    left, bottom, right, top = box or (place.x, place.y, place.x + place.width, place.y + place.height)
    bottom, top = max(bottom, place.y), min(top, place.y + place.height)
    STATE["search"] = {
        "wanted": wanted,
        "region": region,
        "points": iter(
            [
                (int(left + part * (right - left)), y)
                for part in columns
                for y in range(int(top) - 6, int(bottom), -step)
            ]
        ),
        "at": None,
        "seen": [],
        "number": STATE["next"],
    }


def search():
    """One step of a search: look at the button under the pointer, move on."""
    looking = STATE["search"]
    if looking["at"] is not None:
        seen = pointed()
        if seen and seen not in looking["seen"]:
            looking["seen"].append(seen)
        if seen and looking["wanted"] in seen:
            return finish({"at": looking["at"], "seen": seen})
    point = next(looking["points"], None)
    if point is None:
        return finish({"at": None, "seen": looking["seen"]})
    bpy.context.window_manager.windows[0].cursor_warp(*point)
    looking["at"] = point
    return TICK


def finish(answer):
    """Write the answer of the request; the next one may come."""
    path = FOLDER / f"{STATE['next']}.json"
    part = path.with_suffix(".part")
    part.write_text(json.dumps(answer), encoding="utf-8")
    part.replace(path)
    STATE["next"] += 1
    STATE["search"] = None
    return TICK


def tick():
    """Called by Blender again and again."""
    if STATE["search"]:
        return search()
    request = FOLDER / f"{STATE['next']}.py"
    if not request.is_file():
        return TICK
    names = {
        "sys": sys,
        "json": json,
        "bpy": bpy,
        "answer": None,
        "find": find,
        "panels": panels,
        "tabs": tabs,
        "area_of": area_of,
        "region_of": region_of,
    }
    try:
        exec(compile(request.read_text(encoding="utf-8"), str(request), "exec"), names)
    except Exception:  # noqa: BLE001  whoever asked reads it
        return finish({"error": traceback.format_exc()})
    return TICK if STATE["search"] else finish({"answer": names["answer"]})


# -- where the panels of a region are: Blender tells it to no script, but its own description of its memory (SDNA) does


class Layout:
    """Offsets of the members of Blender's structures, from the description that every .blend file carries."""

    def __init__(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "layout.blend"
            bpy.data.libraries.write(str(path), {bpy.data.worlds[0] if bpy.data.worlds else bpy.context.scene})
            data = path.read_bytes()
        data = data[data.rindex(b"SDNANAME") :]
        names, place = self._words(data, 8)
        types, place = self._words(data, self._tag(data, place, b"TYPE"))
        start = self._tag(data, place, b"TLEN")
        sizes = struct.unpack_from(f"<{len(types)}H", data, start)
        place = self._tag(data, start + 2 * len(types), b"STRC")
        (count,) = struct.unpack_from("<I", data, place)
        place += 4
        self.offsets = {}
        for _ in range(count):
            kind, members = struct.unpack_from("<HH", data, place)
            place += 4
            offset = 0
            for _ in range(members):
                member_kind, name = struct.unpack_from("<HH", data, place)
                place += 4
                word = names[name]
                self.offsets[types[kind], word.split("[")[0].lstrip("*")] = offset
                length = 8 if word.startswith(("*", "(")) else sizes[member_kind]
                for times in word.split("[")[1:]:
                    length *= int(times.rstrip("]"))
                offset += length

    @staticmethod
    def _tag(data, place, tag):
        place = (place + 3) & ~3
        if data[place : place + 4] != tag:
            raise ValueError(f"expected {tag} in the description of Blender's memory")
        return place + 4

    @staticmethod
    def _words(data, place):
        (count,) = struct.unpack_from("<I", data, place)
        words = data[place + 4 :].split(b"\0", count)[:count]
        return [word.decode() for word in words], place + 4 + sum(len(word) + 1 for word in words)


def read(address, kind, member, form):
    """A member of a structure in Blender's memory."""
    place = address + STATE["layout"].offsets[kind, member]
    return struct.unpack(form, ctypes.string_at(place, struct.calcsize(form)))[0]


def panels(region=("VIEW_3D", "UI")):
    """The panels that a region shows, sub-panels too, by their idname: label, whether open, header and body.

    Places are in pixels of the window, from its lower left corner.
    """
    STATE["layout"] = STATE.get("layout") or Layout()
    _window, _area, place = region_of(*region)
    header = 20 * bpy.context.preferences.system.ui_scale + 4
    found = {}

    def walk(first):
        while first:
            rectangle = [read(first, "Panel", name, "<i") for name in ("ofsx", "ofsy", "sizex", "sizey")]
            name = ctypes.string_at(first + STATE["layout"].offsets["Panel", "panelname"], 64).split(b"\0")[0].decode()
            label = ctypes.string_at(first + STATE["layout"].offsets["Panel", "drawname"], 64).split(b"\0")[0].decode()
            closed = bool(read(first, "Panel", "flag", "<h") & CLOSED)
            shown = bool(read(first, "Panel", "runtime_flag", "<h") & ACTIVE)
            left, top = place.view2d.view_to_region(rectangle[0], rectangle[1] + rectangle[3], clip=False)
            right, bottom = place.view2d.view_to_region(rectangle[0] + rectangle[2], rectangle[1], clip=False)
            if shown:
                found[name] = {
                    "label": label,
                    "open": not closed,
                    "header": [place.x + (left + right) // 2, place.y + top + header // 2],
                    "body": [place.x + left, place.y + bottom, place.x + right, place.y + top],
                }
            if not closed:
                walk(read(first, "Panel", "children", "<Q"))
            first = read(first, "Panel", "next", "<Q")

    walk(read(place.as_pointer(), "ARegion", "panels", "<Q"))
    return found


def tabs(region=("VIEW_3D", "UI")):
    """The middles of the tabs of a region by their names, in pixels of the window."""
    STATE["layout"] = STATE.get("layout") or Layout()
    _window, _area, place = region_of(*region)
    tab, found = read(place.as_pointer(), "ARegion", "panels_category", "<Q"), {}
    while tab:  # next, previous, name, rectangle: this one is not in the description
        following, _previous, name, left, right, bottom, top = struct.unpack("<QQ64s4i", ctypes.string_at(tab, 96))
        found[name.split(b"\0")[0].decode()] = [place.x + (left + right) // 2, place.y + (bottom + top) // 2]
        tab = following
    return found


if __name__ == "__main__":
    bpy.context.preferences.view.show_splash = False  # it would take every click
    bpy.app.timers.register(tick, first_interval=0.5, persistent=True)
