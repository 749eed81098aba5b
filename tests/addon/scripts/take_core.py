"""Takes on the bundled human: times, the three ways of inserting, undo, names, errors; answers plain numbers."""

import importlib

import bpy
import numpy as np

RATES = {"24": (24, 1.0), "25": (25, 1.0), "29.97": (30, 1.001), "60": (60, 1.0)}
BONE = 'pose.bones["c3c4"].rotation_quaternion'
SMILE = 'key_blocks["mouthSmileLeft"].value'
BROW = 'key_blocks["browInnerUp"].value'


class Case:
    """The modules of the add-on, the scene, and the take that goes in."""

    def __init__(self, addon, args):
        self.addon, self.scene, self.take_path = addon, bpy.context.scene, args["take"]
        self.take = self.module("takes.importer").read(args["take"])
        self.other = bpy.data.objects.new("bystander", None)
        self.scene.collection.objects.link(self.other)
        self.other.keyframe_insert("location", frame=1)
        self.rig = self.module("characters.create").create(bpy.context, {}, "head")
        self.keys = self.rig.body.data.shape_keys

    def module(self, name):
        return importlib.import_module(f"{self.addon.__name__}.{name}")

    def insert(self, take=None, target=None, only=None, keys="dense", whole_frames=True, **placement):
        made = self.module("takes.channels").Placement(**{"start": 1, "name": "toy", **placement})
        return self.module("takes.insert").insert(
            self.scene, target or self.rig.armature, take or self.take, made, only=only, keys=keys,
            whole_frames=whole_frames,
        )  # fmt: skip

    def clear(self):
        for owner in (self.rig.armature, self.keys):
            owner.animation_data.action = None
            for track in list(owner.animation_data.nla_tracks):
                owner.animation_data.nla_tracks.remove(track)
        for action in list(bpy.data.actions):
            if action != self.other.animation_data.action:
                bpy.data.actions.remove(action)
        for key in self.keys.key_blocks[1:]:
            key.value = 0.0
        for bone in self.rig.armature.pose.bones:
            bone.rotation_quaternion, bone.location = (1, 0, 0, 0), (0, 0, 0)

    def curve(self, owner, path, index=0):
        return self.module("toolkit.blender.compat").playing(owner).fcurves.find(path, index=index)

    def shown(self, frame):
        """What the evaluated character shows: weights by name, rotations by bone, the larynx in millimetres."""
        whole = int(np.floor(frame))
        self.scene.frame_set(whole, subframe=frame - whole)
        weights = {key.name: key.value for key in self.keys.key_blocks[1:]}
        turns = {bone.name: np.array(bone.rotation_quaternion) for bone in self.rig.armature.pose.bones}
        return weights, turns, self.rig.armature["larynx_height"]

    def counts(self):
        kinds = ("actions", "objects", "meshes", "armatures", "materials", "images", "scenes", "sounds", "texts")
        return {kind: len(getattr(bpy.data, kind)) for kind in kinds}


def main(addon, args):
    case = Case(addon, args)
    untouched = _settings(case)
    answer = {"background": bpy.app.background}
    for what in (times, new, replaced, faded, shared, strips, part, names, errors, job, undone):
        case.clear()
        answer[what.__name__] = what(case, args)
    answer["settings"] = [untouched, _settings(case)]
    return answer


def _settings(case):
    scene = case.scene
    where = [[point.co[0], point.co[1]] for point in case.curve(case.other, "location", 0).keyframe_points]
    return [scene.render.fps, scene.frame_start, scene.frame_end, len(scene.timeline_markers), where]


def _expected(case, seconds):
    """Curves by name and rotations by joint of the take at some seconds, linear between its frames."""
    take, every = case.take, np.arange(case.take.frames) / case.take.fps
    curves = {name: np.interp(seconds, every, take.curves[:, i]) for i, name in enumerate(take.curve_names)}
    turns = {}
    for i, name in enumerate(take.joint_names):
        mixed = np.stack([np.interp(seconds, every, take.rotations[:, i, c]) for c in range(4)], -1)
        turns[name] = mixed / np.linalg.norm(mixed, axis=-1, keepdims=True)
    return curves, turns


def _error(case, start, rate, frames):
    """How far the scene is from the take at some frames: weights, millimetres, and the angle of joints in radians."""
    pack = case.module("toolkit.blender.pack")
    seconds = (np.array(frames) - start) / rate
    curves, turns = _expected(case, seconds)
    worst = [0.0, 0.0, 0.0]
    for row, frame in enumerate(frames):
        weights, shown, height = case.shown(frame)
        for name, values in curves.items():
            if name in weights and name not in ("larynxSize",):
                worst[0] = max(worst[0], abs(weights[name] - values[row]))
        worst[1] = max(worst[1], abs(height - curves["larynxHeight"][row]))
        for name, values in turns.items():
            bone = case.rig.armature.pose.bones.get(name)
            if bone is None:
                continue
            rest = np.array(bone.bone.matrix_local.to_3x3())
            want = np.append(values[row, 0], pack.to_blender(values[row, 1:]) @ rest)
            turn = shown[name] / np.linalg.norm(shown[name])
            apart = min(np.linalg.norm(want - turn), np.linalg.norm(want + turn))
            worst[2] = max(worst[2], float(4 * np.arcsin(apart / 2)))
    return worst


def times(case, args):
    """At other frame rates every frame of the scene shows the take at its second."""
    render, found = case.scene.render, {}
    before = render.fps, render.fps_base
    for name, (fps, base) in RATES.items():
        render.fps, render.fps_base = fps, base
        rate = fps / base
        for whole in (True, False):
            case.clear()
            case.insert(start=11, whole_frames=whole)
            last = int(11 + (case.take.frames - 1) / case.take.fps * rate)
            found[f"{name} {whole}"] = _error(case, 11, rate, np.linspace(11, last - 1, 9).round())
            places = np.array([point.co[0] for point in case.curve(case.keys, SMILE).keyframe_points])
            found[f"{name} {whole}"].append(float(np.abs(places - places.round()).max()))
    render.fps, render.fps_base = before
    return found


def new(case, args):
    """A second import makes a new action, keeps the old one, and leaves no key behind for what never moves."""
    still = case.take.curves.copy()
    still[:, case.take.curve_names.index("tongueOut")] = 0.5
    case.insert(case.module("takes.insert").replace(case.take, curves=still), name="first")
    first = case.rig.armature.animation_data.action
    tongue = case.curve(case.keys, 'key_blocks["tongueOut"].value')
    keys = [len(curve.keyframe_points) for curve in (case.curve(case.keys, SMILE), tongue)]
    case.insert(name="second", start=5)
    second = case.rig.armature.animation_data.action
    container = case.module("toolkit.blender.compat").playing(case.rig.armature)
    groups = sorted({curve.group.name for curve in container.fcurves})
    placed = case.module("takes.placed").takes_on(case.rig.armature)
    return {
        "names": [first.name, second.name], "kept": first.use_fake_user, "keys": keys, "groups": groups,
        "jaw": any('"jaw"' in curve.data_path for curve in container.fcurves),
        "same": case.rig.armature.animation_data.action == case.keys.animation_data.action,
        "error": _error(case, 5, case.scene.render.fps, [6, 20]),
        "placed": [[entry.name, entry.start, len(entry.events)] for entry in placed],
        "interpolation": sorted({point.interpolation for point in case.curve(case.keys, SMILE).keyframe_points}),
    }  # fmt: skip


def _animate(case):
    """Animation of an artist, from frame -20 to 120: every interpolation, handles of every kind."""
    dice = np.random.default_rng(3)
    kinds = ("BEZIER", "LINEAR", "CONSTANT", "BOUNCE", "BEZIER", "SINE")
    for owner, path, index in _artist(case):
        for frame in range(-20, 121, 10):
            value = float(dice.uniform(0.1, 0.9))
            _set(owner, path, index, value)
            owner.keyframe_insert(path, frame=frame, index=index)
        curve = case.curve(owner, path, index)
        for number, point in enumerate(curve.keyframe_points):
            point.interpolation = kinds[(number + index + (path == BROW)) % len(kinds)] if path != SMILE else "BEZIER"
        curve.update()
    loop = case.curve(case.keys, 'key_blocks["cheekPuff"].value')
    loop.extrapolation = "LINEAR"
    for number in reversed(range(len(loop.keyframe_points))):
        if not 0 <= loop.keyframe_points[number].co[0] <= 60:
            loop.keyframe_points.remove(loop.keyframe_points[number])
    loop.update()


def _artist(case):
    yield from ((case.rig.armature, BONE, index) for index in range(4))
    yield case.keys, SMILE, -1
    yield case.keys, BROW, -1
    yield case.keys, 'key_blocks["cheekPuff"].value', -1


def _set(owner, path, index, value):
    holder, _, name = path.rpartition(".")
    thing = owner.path_resolve(holder)
    if index < 0:
        setattr(thing, name, value)
    else:
        getattr(thing, name)[index] = value


def _sampled(case, frames):
    return np.array([
        [case.curve(owner, path, max(index, 0)).evaluate(frame) for frame in frames]
        for owner, path, index in _artist(case)
    ])  # fmt: skip


def replaced(case, args):
    """Only the frames of the take change: curves outside keep their shape, keys outside their place."""
    worst, inside = 0.0, [0.0, 0.0, 0.0]
    moved = 0
    for start in (23, 30, 95, -60, 150, 21.4):
        case.clear()
        _animate(case)
        rate = case.scene.render.fps
        end = start + (case.take.frames - 1) / case.take.fps * rate
        # A bounce cannot be cut: it is kept on whole frames. Curves and lines are kept everywhere.
        whole = np.concatenate([np.arange(-80, np.floor(start)), np.arange(np.ceil(end + 1), 260)])
        fine = np.concatenate([np.arange(-80, np.floor(start) - 1, 0.25), np.arange(np.ceil(end + 1), 260, 0.25)])
        smile = [artist[1] for artist in _artist(case)].index(SMILE)
        keys, before, smooth = _places(case, start, end), _sampled(case, whole), _sampled(case, fine)[smile]
        action = case.rig.armature.animation_data.action
        case.insert(mode="replace", start=start, whole_frames=False)
        worst = max(worst, float(np.abs(_sampled(case, whole) - before).max()))
        worst = max(worst, float(np.abs(_sampled(case, fine)[smile] - smooth).max()))
        moved += sum(not set(old) <= set(new) for old, new in zip(keys, _places(case, start, end), strict=True))
        inside = np.maximum(inside, _error(case, start, rate, [np.ceil(start), np.ceil(start) + 11])).tolist()
    jaw = case.curve(case.keys, 'key_blocks["jawOpen"].value')
    return {
        "outside": worst, "moved": moved, "inside": inside,
        "same_action": case.rig.armature.animation_data.action == action,
        "jaw_outside": [jaw.evaluate(10), jaw.evaluate(200)],
    }  # fmt: skip


def _places(case, start, end):
    return [
        [tuple(np.round(point.co, 4)) for point in case.curve(owner, path, max(index, 0)).keyframe_points
         if not start - 1e-3 <= point.co[0] <= end + 1e-3]
        for owner, path, index in _artist(case)
    ]  # fmt: skip


def faded(case, args):
    """Blends start and end at what was there; in their middle both count the same."""
    _animate(case)
    rate = case.scene.render.fps
    start, blend = 30, 8 / rate
    end = start + round(case.take.frames / case.take.fps * rate) - 1
    old = case.curve(case.keys, SMILE)
    before = [old.evaluate(frame) for frame in (start, start + 4, end)]
    case.insert(mode="replace", start=start, blend_in=blend, blend_out=blend)
    curve = case.curve(case.keys, SMILE)
    after = [curve.evaluate(frame) for frame in (start, start + 4, end)]
    curves, _ = _expected(case, np.array([4 / rate]))
    lengths = [
        float(np.linalg.norm([case.curve(case.rig.armature, BONE, index).evaluate(frame) for index in range(4)]))
        for frame in range(start, int(end))
    ]
    return {
        "ends": [after[0] - before[0], after[2] - before[2]],
        "middle": after[1] - (before[1] + float(curves["mouthSmileLeft"][0])) / 2,
        "jaw": case.curve(case.keys, 'key_blocks["jawOpen"].value').evaluate(start),
        "length": [min(lengths), max(lengths)],
    }  # fmt: skip


def shared(case, args):
    """An action that plays on something else too is copied before its range changes."""
    _animate(case)
    action = case.rig.armature.animation_data.action
    twin = case.rig.armature.copy()
    case.scene.collection.objects.link(twin)
    slotted = hasattr(twin.animation_data, "action_slot")
    together = twin.animation_data.action == action and (not slotted or twin.animation_data.action_slot is not None)
    before = case.curve(twin, BONE, 1).evaluate(40)
    case.insert(mode="replace", start=30)
    after, mine = case.curve(twin, BONE, 1).evaluate(40), _error(case, 30, case.scene.render.fps, [40])
    same = twin.animation_data.action == case.rig.armature.animation_data.action
    bpy.data.objects.remove(twin)
    return {"together": together, "twin": after - before, "same": same, "mine": mine}


def strips(case, args):
    """A strip shows the take in its time; before and after it the animation below shows."""
    _animate(case)
    rate, start = case.scene.render.fps, 30
    end = start + (case.take.frames - 1) / case.take.fps * rate
    frames = [-10, 10, 28, int(end) + 2, 100]
    before = [case.shown(frame)[0]["mouthSmileLeft"] for frame in frames]
    turns = [case.shown(frame)[1]["c3c4"] for frame in frames]
    message = case.insert(mode="nla", start=start, blend_in=4 / rate, blend_out=4 / rate)
    after = [case.shown(frame)[0]["mouthSmileLeft"] for frame in frames]
    turned = [case.shown(frame)[1]["c3c4"] for frame in frames]
    turns, turned = ([turn / np.linalg.norm(turn) for turn in every] for every in (turns, turned))
    outside = min(abs(float(a @ b)) for a, b in zip(turns, turned, strict=True))
    inside = _error(case, start, rate, [start + 6, start + 12, start + 20])
    case.insert(mode="nla", start=start + 5, name="second")
    inside_second = _error(case, start + 5, rate, [start + 16])
    try:
        refused = case.insert(mode="replace", start=start)
    except case.module("toolkit.errors").UsageError as told:
        refused = str(told)
    channels, insert = case.module("takes.channels"), case.module("takes.insert")
    flat = insert.replace(case.take, curves=0 * case.take.curves + 0.25)
    made = insert.channels_for(case.rig.armature, insert.part_of(flat, {"jawOpen"}), "dense", [])
    place = channels.Placement(start + 5, "replace", name="second", first=0.5, last=0.75)
    solved = channels.write_into_strips(case.scene, made, place)
    jaws = [case.shown(start + 5 + second * rate)[0]["jawOpen"] for second in (0.25, 0.625, 1.0)]
    data = case.keys.animation_data
    tracks = [[track.name, [[strip.name, strip.frame_start, strip.frame_end, strip.blend_in] for strip in track.strips]]
              for track in data.nla_tracks]  # fmt: skip
    return {
        "outside": float(np.abs(np.subtract(before, after)).max()), "outside_turn": outside, "inside": inside,
        "second": inside_second, "tracks": tracks, "action": data.action is None, "message": message,
        "rest": [case.shown(10)[0]["jawOpen"], case.shown(200)[0]["jawOpen"]], "refused": refused, "solved": solved,
        "jaws": [jaws[0] - float(_expected(case, 0.25)[0]["jawOpen"]), jaws[1],
                 jaws[2] - float(_expected(case, 1.0)[0]["jawOpen"])],
    }  # fmt: skip


def part(case, args):
    """Only some channels, and only some seconds, of a take."""
    case.insert(name="whole")
    rate = case.scene.render.fps
    path = 'key_blocks["jawOpen"].value'
    other, jaw = case.curve(case.keys, SMILE), case.curve(case.keys, path)
    neck = [case.curve(case.rig.armature, BONE, index).evaluate(8.3) for index in range(4)]
    smile = [other.evaluate(frame / 2) for frame in range(60)]
    before = [jaw.evaluate(frame) for frame in (1, 5, 6, 16, 17, 30)]
    still = case.take.curves.copy()
    still[:] = 0.25
    flat = case.module("takes.insert").replace(case.take, curves=still)
    case.insert(flat, mode="replace", only={"jawOpen"}, first=6 / rate, last=14 / rate)
    other, jaw = case.curve(case.keys, SMILE), case.curve(case.keys, path)
    after = [jaw.evaluate(frame) for frame in (1, 5, 6, 16, 17, 30)]
    turned = [case.curve(case.rig.armature, BONE, index).evaluate(8.3) for index in range(4)]
    return {
        "outside": float(np.abs(np.subtract(before, after)).max()), "inside": jaw.evaluate(11),
        "smile": float(np.abs(np.subtract(smile, [other.evaluate(frame / 2) for frame in range(60)])).max()),
        "neck": float(np.abs(np.subtract(neck, turned)).max()),
        "placed": [entry.name for entry in case.module("takes.placed").takes_on(case.rig.armature)],
    }  # fmt: skip


def names(case, args):
    """Quotes, backslashes and letters of other scripts in the names of objects, bones, keys and the file."""
    rig, take = case.rig, case.take
    strange = "Kü\"he\\ '頸'"
    replace = case.module("takes.insert").replace
    old = rig.armature.name
    rig.armature.name = "Ar\"m'at\\ur 人"
    rig.armature.data.bones["c3c4"].name = strange
    case.keys.key_blocks["mouthSmileLeft"].name = strange
    renamed = replace(
        take, keys={}, curve_names=tuple(strange if name == "mouthSmileLeft" else name for name in take.curve_names),
        joint_names=tuple(strange if name == "c3c4" else name for name in take.joint_names),
    )  # fmt: skip
    message = case.insert(renamed, name=strange)
    weights, turns, _ = case.shown(1 + 10 * case.scene.render.fps / take.fps)
    action = rig.armature.animation_data.action.name
    value = weights[strange] - float(take.curve("mouthSmileLeft")[10])
    moved = float(np.abs(turns[strange][1:]).max())
    rig.armature.data.bones[strange].name = "c3c4"
    case.keys.key_blocks[strange].name = "mouthSmileLeft"
    rig.armature.name = old
    result = bpy.ops.hyoid.import_take(filepath=args["strange"], target=rig.armature.name)
    return {
        "message": message, "action": action, "value": value, "moved": moved, "result": list(result),
        "file_action": rig.armature.animation_data.action.name,
    }  # fmt: skip


def errors(case, args):
    """Every fault as the artist reads it."""
    said = {}
    for name, path in args["bad"].items():
        try:
            bpy.ops.hyoid.import_take(filepath=path)
            said[name] = "no error"
        except RuntimeError as error:
            said[name] = str(error)
    for name, options in {"target": {"target": "nobody"}, "cannot": {"target": "bystander"}}.items():
        try:
            bpy.ops.hyoid.import_take(filepath=args["take"], **options)
            said[name] = "no error"
        except RuntimeError as error:
            said[name] = str(error)
    return said


def job(case, args):
    """A finished job plays on its character, found by its identity after renaming; a new one comes when it is gone."""
    importer, find = case.module("takes.importer"), case.module("characters.find")
    identity = find.identity(case.rig.armature)["id"]
    payload = {"target": "old name", "target_id": identity, "start": 7, "mode": "new"}
    result = {"outputs": ["/tmp/readme.txt", args["take"]]}
    first = importer.finish_job(case.scene, payload, result)
    error = _error(case, 7, case.scene.render.fps, [10, 20])
    before = len(find.rigs(case.scene))
    second = importer.finish_job(case.scene, {"target": "gone", "target_id": "gone"}, result)
    rigs = find.rigs(case.scene)
    made = [rig for rig in rigs if rig.armature != case.rig.armature]
    for rig in made:
        case.module("characters.create").remove(rig)
    try:
        importer.finish_job(case.scene, payload, {"outputs": ["/tmp/x.glb"]})
        third = "no error"
    except case.module("toolkit.errors").UsageError as told:
        third = str(told)
    return {"first": first, "error": error, "made": len(rigs) - before, "second": second, "third": third}


def undone(case, args):
    """One undo step takes an import back with everything that came with it."""
    bpy.context.preferences.edit.use_global_undo = True
    bpy.ops.ed.undo_push(message="before")
    before = case.counts()
    armature = case.rig.armature.name
    bpy.ops.hyoid.import_take(filepath=args["take"], create=True, markers=True, scene_range=True)
    between = case.counts()
    markers, shown = len(case.scene.timeline_markers), [case.scene.frame_start, case.scene.frame_end]
    bpy.ops.ed.undo_push(message="after")
    undid = bpy.ops.ed.undo() == {"FINISHED"}
    case.scene = bpy.context.scene
    case.other = bpy.data.objects["bystander"]
    case.rig = case.module("characters.find").rig_of(bpy.data.objects[armature])
    case.keys = case.rig.body.data.shape_keys
    return {
        "before": before, "between": between, "after": case.counts(), "undid": undid, "markers": markers,
        "range": shown,
    }  # fmt: skip
