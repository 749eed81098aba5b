# SPDX-License-Identifier: Apache-2.0
"""How well each moment of a recording fits each sound of English: the PocketSphinx en-us acoustic model, read directly.

PocketSphinx 5.1 can align words, but its second pass, which gives the phones inside them, ends in a crash on part of
all recordings. So the model files (PTM: one codebook of 128 Gaussians a phone and stream, 3 streams, tied states) are
read here, and :mod:`hyoid.speech.alignment` finds the path. Times are in frames of 10 ms.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

RATE = 16_000
HOP = 160
WINDOW = 410
FRAME_CENTRE = (WINDOW / 2 - HOP / 2) / RATE
"""Seconds from ``frame * 0.01`` to the boundary that lies half-way between the centres of two analysis windows."""

_LOG_UNIT = 1024 * np.log(1.0001)  # sendump stores -log(weight) in units of 1024 steps of base 1.0001


@dataclass(frozen=True)
class AcousticModel:
    """Tied-state Gaussian mixtures of the en-us model.

    Attributes:
        phones: the names of the context-free phones, fillers included.
        sequences: (phone, left, right, position) -> row of ``senones``; position 0 inside, 1 begin, 2 end, 3 whole.
        plain: (phones,) int: the index into ``senones`` of each context-free phone.
        senones: (sequences, 3) int32: the tied states of each sequence.
        codebook: (n_senones,) int16: the phone whose Gaussians a tied state uses.
        linear, square, constant: the Gaussians as a quadratic form: (phones, 3, 13, 128) twice, (phones, 3, 128).
        mixture: (3, 128, n_senones) uint8, -log(weight) in the unit of the file.
        stay: (phones, 3) float32, log probability of staying in each state. leave: the same of going on.
    """

    phones: tuple[str, ...]
    sequences: dict[tuple[int, int, int, int], int]
    plain: np.ndarray
    senones: np.ndarray
    codebook: np.ndarray
    linear: np.ndarray
    square: np.ndarray
    constant: np.ndarray
    mixture: np.ndarray
    stay: np.ndarray
    leave: np.ndarray

    def states(self, phone: str, left: str, right: str, position: int) -> np.ndarray:
        """The three tied states of a phone between two others, (3,) int32; other positions or no context if need be."""
        base, before, after = (self.phones.index(name) for name in (phone, left, right))
        for place in (position, 0, 1, 2, 3):
            for around in ((before, after), (before, self.phones.index("SIL")), (self.phones.index("SIL"), after)):
                found = self.sequences.get((base, *around, place))
                if found is not None:
                    return self.senones[found]
        return self.senones[self.plain[base]]


@lru_cache(maxsize=1)
def load() -> AcousticModel:
    """The acoustic model that comes with PocketSphinx, about 10 MB, read once a process."""
    from pocketsphinx import get_model_path

    folder = Path(get_model_path("en-us/en-us"))
    phones, sequences, plain, senones, codebook = _read_definition((folder / "mdef").read_bytes())
    means = _read_s3(folder / "means", len(phones))
    variances = np.maximum(_read_s3(folder / "variances", len(phones)), 1e-4)
    transition = np.frombuffer((folder / "transition_matrices").read_bytes()[-len(phones) * 48 - 4 : -4], "<f4")
    transition = transition.reshape(len(phones), 3, 4)
    transition = transition / transition.sum(-1, keepdims=True)
    own = transition[:, np.arange(3), np.arange(3)]
    data = (folder / "sendump").read_bytes()[-3 * 128 * len(codebook) :]
    mixture = np.frombuffer(data, np.uint8).reshape(3, 128, len(codebook))
    precision = np.swapaxes(1 / variances, -1, -2)
    centre = np.swapaxes(means, -1, -2)
    constant = -0.5 * (np.log(2 * np.pi * variances) + means**2 / variances).sum(-1)
    return AcousticModel(
        phones, sequences, plain, senones, codebook, (centre * precision).astype(np.float32),
        (-0.5 * precision).astype(np.float32), constant.astype(np.float32), mixture,
        np.log(own).astype(np.float32), np.log(1 - own).astype(np.float32),
    )  # fmt: skip


def _read_s3(path: Path, codebooks: int) -> np.ndarray:
    count = codebooks * 3 * 128 * 13
    return np.frombuffer(path.read_bytes()[-count * 4 - 4 : -4], "<f4").reshape(codebooks, 3, 128, 13).astype(float)


def _read_definition(data: bytes):
    """The model definition: which tied states a phone in its context uses."""
    size = int.from_bytes(data[8:12], "little")
    counts = np.frombuffer(data, "<i4", 10, 12 + size)
    n_plain, n_phone, n_emit, _, n_senones, _, n_sequences, _, n_tree, _ = (int(count) for count in counts)
    place = 12 + size + 40
    names = []
    for _ in range(n_plain):
        end = data.index(b"\0", place)
        names.append(data[place:end].decode())
        place = end + 1
    place += -place % 4 if (place - 12 - size) % 4 else 0
    place = 12 + size + (-(-(place - 12 - size) // 4)) * 4
    place += n_tree * 8
    rows = np.frombuffer(data, np.dtype([("sequence", "<i4"), ("tmat", "<i4"), ("attr", "u1", 4)]), n_phone, place)
    place += n_phone * 12 + 4
    senones = np.frombuffer(data, "<i2", n_sequences * n_emit, place).reshape(n_sequences, n_emit).astype(np.int32)
    sequences = {}
    codebook = np.zeros(n_senones, np.int16)
    for row in range(n_plain):
        codebook[senones[rows["sequence"][row]]] = row
    position, base, left, right = rows["attr"][n_plain:].T.astype(int)
    index = rows["sequence"][n_plain:]
    codebook[senones[index]] = base[:, None]
    sequences = dict(zip(zip(base, left, right, position, strict=True), index.tolist(), strict=True))
    return tuple(names), sequences, rows["sequence"][:n_plain].astype(int), senones, codebook


@lru_cache(maxsize=1)
def _filters() -> tuple[np.ndarray, np.ndarray]:
    """Mel filters (257, 25) and the liftered cosine transform (25, 13) of the model's features (130..6800 Hz)."""

    def mel(hertz: np.ndarray) -> np.ndarray:
        return 2595 * np.log10(1 + hertz / 700)

    bins = np.arange(257) * RATE / 512
    edges = 700 * (10 ** (np.linspace(mel(np.array(130.0)), mel(np.array(6800.0)), 27) / 2595) - 1)
    edges = np.round(edges / (RATE / 512)) * (RATE / 512)
    up = (bins[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    down = (edges[2:] - bins[:, None]) / (edges[2:] - edges[1:-1])
    bank = np.clip(np.minimum(up, down), 0, None) * 2 / (edges[2:] - edges[:-2])
    order = np.arange(13)
    cosine = np.cos(np.pi * order * (np.arange(25)[:, None] + 0.5) / 25) * np.sqrt(2 / 25)
    cosine[:, 0] = np.sqrt(1 / 25)
    return bank.astype(np.float32), (cosine * (1 + 11 * np.sin(np.pi * order / 22))).astype(np.float32)


def features(samples: np.ndarray) -> np.ndarray:
    """Cepstra with first and second differences, mean removed.

    Args:
        samples: (n,) float32 in -1..1 at 16 kHz, at least 0.1 s.

    Returns:
        (frames, 3, 13) float32, frame ``i`` centred at ``i * 0.01 + 0.0128`` s.
    """
    signal = samples.astype(np.float32) * 32768
    signal = np.append(signal[:1] * 0.03, signal[1:] - 0.97 * signal[:-1])
    signal = signal + np.random.default_rng(0).normal(0, 0.5, len(signal)).astype(np.float32)  # digital silence
    frames = np.lib.stride_tricks.sliding_window_view(signal, WINDOW)[::HOP]
    bank, cosine = _filters()
    power = np.abs(np.fft.rfft(frames * np.hamming(WINDOW).astype(np.float32), 512)).astype(np.float32) ** 2
    cepstra = np.log(np.maximum(power @ bank, 1e-5)) @ cosine
    cepstra -= cepstra.mean(0)
    padded = np.pad(cepstra, ((3, 3), (0, 0)), mode="edge")
    count = len(cepstra)

    def at(shift: int) -> np.ndarray:
        return padded[3 + shift : 3 + shift + count]

    return np.stack([cepstra, at(2) - at(-2), at(3) - at(-1) - at(1) + at(-3)], 1)


def scores(model: AcousticModel, cepstra: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Log likelihoods of tied states.

    Args:
        cepstra: (frames, 3, 13) float32 from :func:`features`.
        wanted: (n,) rising unique tied states.

    Returns:
        (frames, n) float32.
    """
    result = np.zeros((len(cepstra), len(wanted)), np.float32)
    squares = cepstra**2
    books = model.codebook[wanted]
    for book in np.unique(books):
        columns = np.flatnonzero(books == book)
        for stream in range(3):
            density = cepstra[:, stream] @ model.linear[book, stream] + squares[:, stream] @ model.square[book, stream]
            density += model.constant[book, stream]
            best = density.max(1, keepdims=True)
            weights = np.exp(-_LOG_UNIT * model.mixture[stream][:, wanted[columns]]).astype(np.float32)
            result[:, columns] += np.log(np.exp(density - best) @ weights + 1e-30) + best
    return result
