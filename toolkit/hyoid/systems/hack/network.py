# SPDX-License-Identifier: Apache-2.0
"""HACK forward in torch: identity, pose correctives, expressions and larynx at rest, then linear blend skinning.

Zhang et al., "HACK: Learning a Parametric Head and Neck Model for High-fidelity Animation", ACM TOG 2023. The order of
the terms and the exact sampling of the larynx map follow the published model; the arithmetic is arranged for speed:

- vertices lie in blocks of 256, coordinates before vertices, so that a few blocks at a time stay in the cache; a
  single frame goes through all of them in one product of a row and a matrix, which is read once from end to end,
- expressions and the pose maps that act share one matrix product; maps and expressions that are zero are left out,
- an identity that is the same in the whole batch, or as in the last call, is evaluated once (without gradients),
- the larynx is sampled only where its map can reach, and joins through the linear part of the skinning matrices.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from hyoid.errors import InputError
from hyoid.systems.hack import EXPRESSIONS, JOINTS
from hyoid.systems.hack.checkpoint import Data

_BLOCK = 256  # vertices
_POSES = 64  # pose-blocks that are worked on together


class Hack(nn.Module):
    """The model of one folder, ready for any number of frames; ``.to`` takes it to another device or type.

    Args:
        data: see :class:`hyoid.systems.hack.checkpoint.Data`.
    """

    template: Tensor  # (blocks * 768,), see _blocks
    identity: Tensor  # (k, blocks * 768)
    moves: Tensor  # (expressions and pose maps that act, blocks * 768)
    acting_expressions: Tensor
    acting_features: Tensor
    weights: Tensor  # (8, blocks * 256)
    to_parent: Tensor  # (8, 4, 4)
    from_model: Tensor  # (8, 4, 4)
    larynx_map: Tensor  # (rows, columns)
    larynx_direction: Tensor  # (3,)
    larynx_vertices: Tensor  # (n,) vertices that can be reached, the upper ones of the map first
    larynx_position: Tensor  # (n, 2)
    larynx_weights: Tensor  # (n, 8)
    last: Tensor  # (4, 4), 1 in the last corner

    def __init__(self, data: Data) -> None:
        super().__init__()
        self.count = len(data.template)
        self.parents = data.bones.parents
        self._keep("template", self._blocks(data.template[None])[0])
        modes = np.zeros((0, self.count, 3), np.float32) if data.identity is None else data.identity.modes
        self._keep("identity", self._blocks(modes))
        expressions = np.zeros((0, self.count, 3), np.float32) if data.expressions is None else data.expressions.mean
        correctives = np.zeros((0, self.count, 3), np.float32)
        if data.correctives is not None:
            # The feature of the root is R - R = 0: its nine maps never act.
            correctives = data.correctives.mean[1:].reshape(-1, self.count, 3)
        acting = [np.flatnonzero(maps.any((1, 2))) for maps in (expressions, correctives)]
        self._keep("moves", self._blocks(np.concatenate([expressions[acting[0]], correctives[acting[1]]])))
        self._keep("acting_expressions", torch.from_numpy(acting[0]))
        self._keep("acting_features", torch.from_numpy(acting[1]))
        weights = np.zeros((JOINTS, len(self.template) // 3), np.float32)
        weights[:, : self.count] = data.weights
        self._keep("weights", torch.from_numpy(weights))
        self._keep("to_parent", torch.from_numpy(data.bones.to_parent))
        self._keep("from_model", torch.from_numpy(np.linalg.inv(data.bones.to_model).astype(np.float32)))
        self._keep("last", torch.diag(torch.tensor([0.0, 0.0, 0.0, 1.0])))
        self._keep_larynx(data)
        self._person: tuple[Tensor, Tensor, Tensor] | None = None  # template, beta and its rest of the last call

    def _keep(self, name: str, value: Tensor) -> None:
        self.register_buffer(name, value, persistent=False)

    def _blocks(self, vertices: np.ndarray) -> Tensor:
        """(k, V, 3) as (k, blocks * 768): x of 256 vertices, then y, then z, then of the next; zeros at the end."""
        blocks = -(-self.count // _BLOCK)
        padded = np.zeros((len(vertices), blocks * _BLOCK, 3), np.float32)
        padded[:, : self.count] = vertices
        parted = padded.reshape(len(vertices), blocks, _BLOCK, 3).transpose(0, 1, 3, 2)
        return torch.from_numpy(parted.reshape(len(vertices), 3 * blocks * _BLOCK).copy())

    def _keep_larynx(self, data: Data) -> None:
        """The map, and the vertices whose column of it holds anything, by their height in it."""
        lit = np.flatnonzero(data.larynx_map.any(1)), np.flatnonzero(data.larynx_map.any(0))
        columns = data.larynx_map.shape[1]
        x = np.clip((data.larynx_position[:, 0].astype(np.float64) + 1) / 2 * (columns - 1), 0, columns - 1)
        reached = np.zeros(0, np.int64)
        if len(lit[0]):
            reached = np.flatnonzero((x > lit[1][0] - 1) & (x < lit[1][-1] + 1))
        heights = data.larynx_position[reached, 1]
        reached = reached[np.argsort(heights, kind="stable")]
        self._larynx_heights = np.sort(heights).astype(np.float64)
        self._larynx_rows = (int(lit[0][0]), int(lit[0][-1])) if len(lit[0]) else (0, 0)
        self._keep("larynx_map", torch.from_numpy(data.larynx_map))
        self._keep("larynx_direction", torch.tensor(data.larynx_direction))
        self._keep("larynx_vertices", torch.from_numpy(reached))
        self._keep("larynx_position", torch.from_numpy(data.larynx_position[reached]))
        self._keep("larynx_weights", torch.from_numpy(np.ascontiguousarray(data.weights[:, reached].T)))

    def forward(
        self, theta: Tensor, tau: Tensor, alpha: Tensor, expression: Tensor, beta: Tensor | None = None
    ) -> Tensor:
        """Posed vertices (B, V, 3), centimetres. Every input may have one row for the whole batch.

        Args:
            theta: (B, 8, 3) rotation vectors, radians, each in the axes of its bone. tau: (B, 1) travel of the larynx,
                in heights of its map. alpha: (B, 1) size of the larynx. expression: (B, 55) weights.
            beta: (B, k) identity, standard deviations, k up to the number of modes; None is the mean person.

        Raises:
            InputError: shapes do not fit.
        """
        batch = self._batch(theta, tau, alpha, expression, beta)
        rotation = rotation_matrices(theta)
        transforms = self.transforms(rotation)
        features = (rotation[:, 1:] - torch.eye(3).to(rotation)).flatten(1)
        coefficients = torch.cat(
            [
                expression[:, self.acting_expressions].expand(batch, -1),
                features[:, self.acting_features].expand(batch, -1),
            ],
            1,
        )
        posed = self._pose(self._rest(beta), coefficients, transforms[:, :, :3].expand(batch, -1, -1, -1))
        return self._add_larynx(posed, transforms, tau, alpha)

    def transforms(self, rotation: Tensor) -> Tensor:
        """From rest to posed positions (B, 8, 4, 4), of rotation matrices (B, 8, 3, 3) in bone axes."""
        local = self.to_parent @ (functional.pad(rotation, (0, 1, 0, 1)) + self.last)
        world: list[Tensor] = []
        for joint, parent in enumerate(self.parents):
            world.append(local[:, joint] if parent < 0 else world[parent] @ local[:, joint])
        return torch.stack(world, 1) @ self.from_model

    def larynx(self, tau: Tensor) -> Tensor:
        """Offsets (B, V, 3) of a larynx of size 1 at travels ``tau`` (B, 1), in rest axes, centimetres."""
        chosen = self._reached(tau)
        offsets = self._sample(tau, chosen)[..., None] * self.larynx_direction
        rest = offsets.new_zeros(len(tau), self.count, 3)
        return rest.index_copy(1, self.larynx_vertices[chosen], offsets)

    def _batch(self, theta: Tensor, tau: Tensor, alpha: Tensor, expression: Tensor, beta: Tensor | None) -> int:
        wanted = {"theta": (theta, (JOINTS, 3)), "tau": (tau, (1,)), "alpha": (alpha, (1,))}
        wanted["expression"] = expression, (len(EXPRESSIONS),)
        if beta is not None:
            modes = len(self.identity)
            if beta.ndim != 2 or beta.shape[1] > modes:
                raise InputError(f"beta is {tuple(beta.shape)}", expected=f"(B, k), k at most {modes}")
            wanted["beta"] = beta, tuple(beta.shape[1:])
        batch = max(len(value) for value, _ in wanted.values())
        for name, (value, shape) in wanted.items():
            if tuple(value.shape[1:]) != shape or len(value) not in (1, batch):
                raise InputError(f"{name} is {tuple(value.shape)}", expected=f"({batch}, {', '.join(map(str, shape))})")
        return batch

    def _rest(self, beta: Tensor | None) -> Tensor:
        """The person at rest, (1 or B, blocks * 768)."""
        if beta is None or not beta.shape[1]:
            return self.template[None]
        modes = self.identity[: beta.shape[1]]
        if torch.is_grad_enabled():
            return self.template + beta @ modes
        if len(beta) > 1 and bool((beta == beta[:1]).all()):
            beta = beta[:1]
        known = self._person
        if known is not None and known[0] is self.template and torch.equal(known[1], beta):
            return known[2]
        rest = (beta @ modes).add_(self.template)
        self._person = (self.template, beta.clone(), rest) if len(beta) == 1 else None
        return rest

    def _pose(self, rest: Tensor, coefficients: Tensor, transforms: Tensor) -> Tensor:
        """Rest (1 or B, blocks * 768), coefficients (B, k), transforms (B, 8, 3, 4): vertices (B, V, 3)."""
        batch = len(coefficients)
        blended = transforms.permute(0, 2, 3, 1).reshape(batch * 12, JOINTS)
        step = max(1, _POSES // batch) * _BLOCK
        parts = []
        for start in range(0, self.weights.shape[1], step):
            columns = slice(3 * start, 3 * (start + step))
            shape = rest[:, columns]
            if coefficients.shape[1]:
                # Offsets are summed by themselves: added one by one to positions they would be rounded a hundred times.
                shape = shape + coefficients @ self.moves[:, columns]
            shape = shape.view(len(shape), -1, 3, _BLOCK)
            mixed = (blended @ self.weights[:, start : start + step]).view(batch, 3, 4, -1, _BLOCK)
            part = mixed[:, :, 3]
            for axis in range(3):
                part = torch.addcmul(part, mixed[:, :, axis], shape[:, None, :, axis])
            parts.append(part.permute(0, 2, 3, 1).reshape(batch, -1, 3))
        posed = parts[0] if len(parts) == 1 else torch.cat(parts, 1)
        return posed[:, : self.count]

    def _add_larynx(self, posed: Tensor, transforms: Tensor, tau: Tensor, alpha: Tensor) -> Tensor:
        """The offsets are added at rest; skinning is affine, so they may as well be turned alone and added here."""
        chosen = self._reached(tau)
        if chosen.start >= chosen.stop:
            return posed
        turned = transforms[:, :, :3, :3] @ self.larynx_direction  # (B, 8, 3)
        size = self._sample(tau, chosen) * alpha
        offsets = ((self.larynx_weights[chosen] @ turned) * size[..., None]).expand(len(posed), -1, -1)
        vertices = self.larynx_vertices[chosen]
        if torch.is_grad_enabled():
            return posed.index_add(1, vertices, offsets)
        for frame, added in zip(posed, offsets, strict=True):  # several times faster than along the second axis
            frame.index_add_(0, vertices, added)
        return posed

    def _reached(self, tau: Tensor) -> slice:
        """The span of ``larynx_vertices`` that samples a lit part of the map at any of the travels."""
        last = self.larynx_map.shape[0] - 1
        lowest, highest = (float(end.detach()) for end in (tau.min(), tau.max()))
        first, final = self._larynx_rows
        # A row of the map is read from one above it to one below; beyond the border the outermost row goes on.
        start = 2 * (first - 1.01) / last - 1 - 2 * highest if first > 1 else -np.inf
        end = 2 * (final + 1.01) / last - 1 - 2 * lowest if final < last - 1 else np.inf
        places = np.searchsorted(self._larynx_heights, (start, end))
        return slice(int(places[0]), int(places[1]))

    def _sample(self, tau: Tensor, chosen: slice) -> Tensor:
        """The map (B, n) at the positions of the reached vertices; bilinear, border clamped, corners aligned."""
        grid = self.larynx_position[chosen] + functional.pad(2 * tau, (1, 0))[:, None]  # (B, n, 2)
        found = functional.grid_sample(
            self.larynx_map[None, None], grid.reshape(1, 1, -1, 2), padding_mode="border", align_corners=True
        )
        return found.reshape(len(tau), -1)


def rotation_matrices(vectors: Tensor) -> Tensor:
    """Rotation matrices (..., 3, 3) of rotation vectors (..., 3), radians; smooth at zero."""
    square = (vectors * vectors).sum(-1)[..., None, None]
    small = square < 1e-6
    safe = torch.where(small, torch.ones_like(square), square)
    angle = safe.sqrt()
    sine = torch.where(small, square * (-1 / 6) + 1, angle.sin() / angle)
    # 1 - cos(a) = 2 sin(a / 2) ** 2 keeps its digits at small angles.
    cosine = torch.where(small, square * (-1 / 24) + 0.5, 2 * (angle / 2).sin() ** 2 / safe)
    x, y, z = vectors.unbind(-1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).unflatten(-1, (3, 3))
    return torch.eye(3).to(vectors) + sine * cross + cosine * (cross @ cross)
