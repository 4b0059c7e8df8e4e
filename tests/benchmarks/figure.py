"""A figure: what was measured, what it must reach, and whether its rounds agree."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

from measure import Run

#: Rounds whose values lie further apart than this make no clean number: the figure says so wherever it is shown.
MOST_SPREAD = 0.25


@dataclass(frozen=True)
class Target:
    """What a figure must reach, and what it should."""

    bound: float
    aim: float
    more_is_better: bool = True

    def met(self, value: float) -> bool:
        """Say whether a figure keeps the bound."""
        return value >= self.bound if self.more_is_better else value <= self.bound


@dataclass(frozen=True)
class Figure:
    """A figure with what it was made from.

    Attributes
    ----------
    value : float
        The number that the target is about.
    rounds : sequence of float
        The same number from each round alone; empty where there was one.
    note : str
        What the name doesn't say, such as the mode of a peer.
    runs : dict of str to list of Run
        The runs of each side, in the order of the rounds.
    """

    name: str
    unit: str
    ours: float
    peer: float | None
    value: float
    target: Target | None = None
    rounds: Sequence[float] = ()
    note: str = ""
    runs: Mapping[str, Sequence[Run]] = field(default_factory=dict, repr=False)

    @property
    def notes(self) -> str:
        """The note, and how far the rounds lie apart if that is too far."""
        return "; ".join(part for part in (self.note, disagreement(self.rounds)) if part)

    def to_dict(self) -> dict[str, object]:
        """Return the figure as JSON has it."""
        runs = {side: [{**asdict(run), "said": run.said[-500:]} for run in some] for side, some in self.runs.items()}
        met = None if self.target is None else self.target.met(self.value)
        return {**asdict(self), "rounds": list(self.rounds), "notes": self.notes, "met": met, "runs": runs}


def spread(rounds: Sequence[float]) -> float:
    """Return by how much the largest value of the rounds exceeds the smallest, as a share of it.

    >>> round(spread([3.0, 2.4, 2.8]), 2), spread([3.0])
    (0.25, 0.0)
    """
    return max(rounds) / min(rounds) - 1 if len(rounds) > 1 and min(rounds) > 0 else 0.0


def disagreement(rounds: Sequence[float]) -> str:
    """Return a note if the rounds lie too far apart.

    >>> disagreement([3.0, 2.9]), disagreement([3.0, 2.0, 2.5])
    ('', 'rounds differ by 50 %')
    """
    return f"rounds differ by {100 * spread(rounds):.0f} %" if spread(rounds) > MOST_SPREAD else ""


def seconds(runs: Sequence[Run]) -> float:
    """Return the median of the wall seconds."""
    return statistics.median(run.seconds for run in runs)


def time_ratio(
    name: str,
    runs: Mapping[str, Sequence[Run]],
    over: str,
    under: str,
    target: Target | None = None,
    note: str = "",
) -> Figure:
    """Return the medians of two sides' seconds, the one over the other; `ours` is the first side of the runs."""
    ours, peer = (seconds(some) for some in runs.values())
    rounds = [a.seconds / b.seconds for a, b in zip(runs[over], runs[under], strict=True)]
    return Figure(name, "s", ours, peer, seconds(runs[over]) / seconds(runs[under]), target, rounds, note, runs)
