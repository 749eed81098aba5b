# SPDX-License-Identifier: Apache-2.0
"""Where each phone of known words lies in a piece of sound: Viterbi over a chain of words with optional pauses between.

Each word may have several pronunciations; between words there may be silence, noise, or speech that the transcript does
not contain (a loop that fits any sound somewhat worse than the right words do).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hyoid.speech import acoustics

FILLERS = ("SIL", "+NSN+", "+SPN+")
# What a loop of untranscribed speech pays a frame against the best plain phone; right words lie at -1 to -2 on average.
OTHER_SPEECH_COST = 3.0
WORD_COST = 25.0  # paid once when a pause or other speech is put between two words
MAXIMUM_PRONUNCIATIONS = 3


@dataclass(frozen=True)
class Phone:
    """One phone in time: ARPAbet name without stress (``SIL`` for pauses), frames of 10 ms, word number or -1, score.

    ``score`` is the mean log likelihood a frame against the best plain phone (about 0 = certain, below -15 = doubtful).
    """

    name: str
    start: int
    end: int
    word: int
    score: float


@dataclass
class _Chain:
    """States in order, with their predecessors (padded with the state itself) and the cost of coming from each."""

    senones: list[int]
    sources: list[list[int]]
    costs: list[list[float]]
    phones: list[tuple[str, int]]  # (name, word) of each state

    def add(self, senone: int, source: list[int], cost: list[float], stay: float, phone: tuple[str, int]) -> int:
        index = len(self.senones)
        self.senones.append(senone)
        self.sources.append([index, *source])
        self.costs.append([stay, *cost])
        self.phones.append(phone)
        return index


def align(
    cepstra: np.ndarray, words: Sequence[Sequence[Sequence[str]]], *, whole: bool = True
) -> tuple[list[Phone], int] | None:
    """Lay words onto a piece of sound.

    Args:
        cepstra: (frames, 3, 13) features of the piece.
        words: the pronunciations of each word, each a sequence of phone names.
        whole: all words must be used; otherwise the piece ends with the word that fits best.

    Returns:
        The phones in time, covering the piece without gaps, and the number of words used; None when the words need
        more frames than there are.
    """
    model = acoustics.load()
    chain, entries, ends = _build(model, words)
    wanted, place = np.unique(
        np.array(chain.senones + [int(s) for s in model.senones[model.plain].ravel()]), return_inverse=True
    )
    likelihood = acoustics.scores(model, cepstra, wanted)
    plain = likelihood[:, place[len(chain.senones) :]].reshape(len(cepstra), -1, 3).max(-1)
    speech = [row for row, name in enumerate(model.phones) if name not in FILLERS]
    best_plain = plain.max(1)
    state_scores = likelihood[:, place[: len(chain.senones)]]
    other = np.array([name == "+OTHER+" for name, _ in chain.phones])
    state_scores[:, other] = plain[:, speech].max(1, keepdims=True) - OTHER_SPEECH_COST
    path = _viterbi(state_scores, chain, entries, ends if whole else None)
    if path is None:
        return None
    frame_score = state_scores[np.arange(len(path)), path] - best_plain
    return _phones(path, chain, frame_score)


def _build(model: acoustics.AcousticModel, words: Sequence[Sequence[Sequence[str]]]):
    """The chain of states; the states it may begin in, and those it may end in when every word must be used."""
    chain = _Chain([], [], [], [])
    exits: list[tuple[int, float]] = []  # states that end the previous word, with the cost of leaving them
    entries: list[int] = []

    def pause(exits: list[tuple[int, float]]) -> list[tuple[int, float]]:
        """Optional filler: three states of silence, or one of other speech or noise."""
        result = list(exits)
        begin = not chain.senones
        for name in ("SIL", "+NSN+", "+OTHER+"):
            row = model.phones.index(name if name != "+OTHER+" else "+SPN+")
            states = model.senones[model.plain[row]]
            first = last = -1
            for step in range(3):
                source = [last] if step else [state for state, _ in exits]
                cost = [float(model.leave[row, step - 1])] if step else [c - WORD_COST for _, c in exits]
                last = chain.add(int(states[step]), source, cost, float(model.stay[row, step]), (name, -1))
                first = last if step == 0 else first
            if begin:
                entries.append(first)
            result.append((last, float(model.leave[row, 2])))
        return result

    exits = pause(exits)
    for number, pronunciations in enumerate(words):
        before = words[number - 1][0][-1] if number else "SIL"
        after = words[number + 1][0][0] if number + 1 < len(words) else "SIL"
        ways_out = []
        for phones in pronunciations[:MAXIMUM_PRONUNCIATIONS]:
            last, leaving = -1, 0.0
            for place, phone in enumerate(phones):
                left = phones[place - 1] if place else before
                right = phones[place + 1] if place + 1 < len(phones) else after
                position = 3 if len(phones) == 1 else 1 if place == 0 else 2 if place == len(phones) - 1 else 0
                row = model.phones.index(phone)
                for step, senone in enumerate(model.states(phone, left, right, position)):
                    inside = place or step
                    source = [last] if inside else [state for state, _ in exits]
                    cost = [float(leaving)] if inside else [c for _, c in exits]
                    last = chain.add(int(senone), source, cost, float(model.stay[row, step]), (phone, number))
                    leaving = model.leave[row, step]
                    if number == 0 and not inside:
                        entries.append(last)
            ways_out.append((last, float(leaving)))
        exits = pause(ways_out)
    return chain, entries, [state for state, _ in exits]


def _viterbi(scores: np.ndarray, chain: _Chain, entries: list[int], ends: list[int] | None) -> np.ndarray | None:
    """The best state of each frame, (frames,) int; None when no path fits."""
    frames, count = scores.shape
    width = max(map(len, chain.sources))
    sources = np.arange(count)[:, None].repeat(width, 1)
    costs = np.full((count, width), -np.inf, np.float32)
    for state, (source, cost) in enumerate(zip(chain.sources, chain.costs, strict=True)):
        sources[state, : len(source)] = source
        costs[state, : len(cost)] = cost
    value = np.full(count, -np.inf, np.float32)
    value[entries] = scores[0, entries]
    choice = np.zeros((frames, count), np.int8)
    rows = np.arange(count)
    for frame in range(1, frames):
        candidates = value[sources] + costs
        best = candidates.argmax(1)
        choice[frame] = best
        value = candidates[rows, best] + scores[frame]
    allowed = np.arange(count) if ends is None else np.array(ends)
    state = int(allowed[value[allowed].argmax()])
    if not np.isfinite(value[state]):
        return None
    path = np.zeros(frames, np.int64)
    for frame in range(frames - 1, -1, -1):
        path[frame] = state
        state = int(sources[state, choice[frame, state]])
    return path


def _phones(path: np.ndarray, chain: _Chain, frame_score: np.ndarray) -> tuple[list[Phone], int]:
    """Runs of states to phones: a phone ends where its word, name or chain position jumps."""
    result = []
    # States of one phone are three in a row in the chain, so the number of the triple tells phones apart.
    triple = path // 3
    edges = np.flatnonzero(np.diff(triple)) + 1
    used = 0
    for start, end in zip([0, *edges.tolist()], [*edges.tolist(), len(path)], strict=True):
        name, word = chain.phones[path[start]]
        used = max(used, word + 1)
        result.append(Phone(name, int(start), int(end), word, float(frame_score[start:end].mean())))
    return result, used
