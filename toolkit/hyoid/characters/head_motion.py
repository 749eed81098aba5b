# SPDX-License-Identifier: Apache-2.0
"""The head motion of stabilised meshes on a character and back: the skull goes exactly where it went in the meshes.

The neck turns as far as it can, joint by joint; the root turns and moves the rest of the way.
"""

from __future__ import annotations

import numpy as np

from hyoid.characters import neck, performance
from hyoid.characters.character import Character, NeckLimits
from hyoid.errors import InputError
from hyoid.formats.checks import finite, frame_rate, shaped, valid_take
from hyoid.geometry import rotations
from hyoid.geometry.registration import Similarity
from hyoid.geometry.rigid import Rigid
from hyoid.geometry.skinning import world_transforms
from hyoid.take import CharacterReference, Provenance, Take

SKULL = "oc1"
"""The joint that carries the skull."""
_BLOCK = 4096  # frames at once in the way back
_POLISH = 2  # rounds: the second sees how float32 rounds far from the origin


def in_metres(motion: Rigid, placement: Similarity) -> Rigid:
    """The motion of meshes in their file's unit and axes as the motion of what ``placement`` makes of them."""
    turned = placement.rotation @ motion.rotations @ placement.rotation.T
    moved = placement.scale * motion.translations @ placement.rotation.T
    return Rigid(turned, moved + placement.translation - turned @ placement.translation)


def to_take(
    motion: Rigid,
    placement: Similarity,
    fps: float,
    character: Character,
    reference: CharacterReference,
    *,
    confidence: np.ndarray,
    curves: tuple[tuple[str, ...], np.ndarray] | None = None,
    provenance: Provenance,
) -> Take:
    """A take in which the character's skull moves as the head in the meshes did.

    From rest to posed the skull goes through ``placement motion placement^-1``, at every angle. The eight joints of the
    neck turn it as far as the neck can (:func:`hyoid.characters.neck.distribute`), the root turns what is left, and the
    root's translation brings the skull to its place.

    Args:
        motion: F frames, in the unit and axes of the mesh file; identity means "as in the target".
        placement: from the file to metres, +Y up, onto the place of the character's head.
        character: needs the joints of :data:`hyoid.characters.neck.JOINTS`. reference: how it was asked for.
        confidence: (F,) 0..1.
        curves: names and values (F, n) of facial curves that go into the take, or None.

    Raises:
        InputError: arrays disagree, hold numbers that are not finite, or the character has another neck.
    """
    frames = len(motion)
    frame_rate(fps)
    names, values = curves if curves is not None else ((), np.zeros((frames, 0)))
    for what, array, shape in (
        ("the head's rotations", motion.rotations, (frames, 3, 3)),
        ("the head's translations", motion.translations, (frames, 3)),
        ("the confidence", np.asarray(confidence), (frames,)),
        ("the curves", np.asarray(values), (frames, len(names))),
    ):
        shaped(what, array, shape)
        finite(what, array)
    if not frames:
        raise InputError("the head motion has no frames", expected="at least one frame")
    chain = _chain(character)
    members = [chain.index(character.joint(name)) for name in neck.JOINTS]
    skull = in_metres(motion, placement)
    turns = rotations.identity(frames, len(chain))
    head = rotations.from_matrix(skull.rotations)
    joints, rest = _shared(character.neck, head)
    moving = rotations.continuous(np.concatenate([rest[:, None], joints], 1))
    turns[:, [0, *members]] = moving
    root = _root(character, chain, turns, skull)
    take = Take(
        fps=fps, curve_names=tuple(names), curves=np.asarray(values).astype(np.float32),
        joint_names=(character.joint_names[chain[0]], *neck.JOINTS), rotations=turns[:, [0, *members]],
        root=root, confidence=np.asarray(confidence).astype(np.float32), character=reference, provenance=provenance,
    )  # fmt: skip
    return valid_take(take)


def from_take(take: Take, character: Character) -> Rigid:
    """How the skull moves in a take, from rest to posed, in metres: F frames.

    Raises:
        InputError: the character has another neck than :func:`to_take` wants.
    """
    chain = _chain(character)
    heads = character.heads[chain].astype(np.float64)
    parents = np.arange(len(chain)) - 1
    turned, moved = [np.zeros((0, 3, 3))], [np.zeros((0, 3))]
    for start in range(0, take.frames, _BLOCK):
        done = performance.perform(character, take, start, start + _BLOCK)
        quaternions = rotations.normalise(done.rotations[:, chain].astype(np.float64))
        world = world_transforms(parents, heads, quaternions, done.root.astype(np.float64))[:, -1]
        turned.append(world[:, :3, :3])
        moved.append(world[:, :3, 3] - world[:, :3, :3] @ heads[-1])
    return Rigid(np.concatenate(turned), np.concatenate(moved))


def _chain(character: Character) -> list[int]:
    """The joints from the root to the skull.

    Raises:
        InputError: the joints of the neck are not all there, one below the other.
    """
    missing = [name for name in neck.JOINTS if name not in character.joint_names]
    chain: list[int] = []
    if not missing:
        joint = character.joint(SKULL)
        while joint >= 0:
            chain.insert(0, joint)
            joint = int(character.parents[joint])
    if missing or [character.joint_names[joint] for joint in chain[1:]][-8:] != list(neck.JOINTS):
        raise InputError(
            f"the character '{character.name}' has another neck" + (f", without {missing[0]}" if missing else ""),
            expected="the joints c7t1 to oc1 below its root",
            hint="Make the take for the bundled human and convert it to this character",
        )
    return chain


def _shared(limits: NeckLimits, head: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rotations of the eight joints (F, 8, 4) and of the root (F, 4) whose product is ``head`` (F, 4)."""
    joints = neck.distribute(limits, head)
    # The top joint takes what the others cannot do; what it cannot do either belongs to the trunk.
    low, high = _top_range(limits)
    top = np.clip(rotations.to_rotation_vector(joints[:, -1]), low, high)
    joints[:, -1] = rotations.from_rotation_vector(top)
    return joints, rotations.multiply(head, rotations.inverse(neck.collapse(joints)))


def _top_range(limits: NeckLimits) -> tuple[np.ndarray, np.ndarray]:
    """The lowest and highest rotation vector (3,) of the top joint in all that the neck shares out."""
    sums = [np.radians(values.sum()) for values in (limits.flexion, limits.extension, limits.axial, limits.lateral)]
    # Twice the range: beyond it joints still give a little before they stop.
    sides = ((-sums[1], sums[0]), (-sums[2], sums[2]), (-sums[3], sums[3]))
    grid = np.meshgrid(*(np.linspace(2 * low, 2 * high, 25) for low, high in sides), indexing="ij")
    top = neck.shares(limits, np.stack(grid, -1).reshape(-1, 3))[:, -1]
    return top.min(0), top.max(0)


def _root(character: Character, chain: list[int], turns: np.ndarray, skull: Rigid) -> np.ndarray:
    """The root's translation (F, 3) float32 that brings the skull to its place with the turns (F, chain, 4) float32."""
    heads = character.heads[chain]
    wanted = skull.apply(heads[-1:].astype(np.float64))[:, 0]
    root = np.zeros((len(turns), 3), np.float32)
    for _ in range(_POLISH):
        place = world_transforms(np.arange(len(chain)) - 1, heads, turns, root)[:, -1, :3, 3]
        root = (root + (wanted - place)).astype(np.float32)
    return root
