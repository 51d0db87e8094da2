"""Seconds as products of factors, found by least squares: what some runs took tells of others.

The logarithm of a run's seconds is a sum of one number for each of its levels, such as its network,
its data and its method. Which combinations are told by which others is linear algebra: a run whose
row of indicators is a sum of multiples of known rows.
"""

import math
from collections.abc import Sequence

import numpy as np

# The level of each factor, in the same order for all runs.
Levels = tuple[str, ...]

# Of a row of three ones, what rounding can leave where nothing should be left.
_ROUNDING = 1e-6


class Span:
    """The runs that are told by those that were added, whatever they took."""

    def __init__(self) -> None:
        self._columns: dict[tuple[int, str], int] = {}
        self._basis: list[np.ndarray] = []

    def add(self, levels: Levels) -> bool:
        """Add a run; whether it was not told by the others."""
        for place in enumerate(levels):
            self._columns.setdefault(place, len(self._columns))
        rest = self._rest(levels)
        length = float(np.linalg.norm(rest))
        if length < _ROUNDING:
            return False
        self._basis.append(rest / length)
        return True

    def tells(self, levels: Levels) -> bool:
        """Whether the runs so far tell of one of these levels."""
        if any(place not in self._columns for place in enumerate(levels)):
            return False
        return bool(np.linalg.norm(self._rest(levels)) < _ROUNDING)

    def _rest(self, levels: Levels) -> np.ndarray:
        """What of the run's row is in none of the others."""
        row = np.zeros(len(self._columns))
        row[[self._columns[place] for place in enumerate(levels)]] = 1.0
        for each in self._basis:
            row[: len(each)] -= (row[: len(each)] @ each) * each
        return row


class Factors:
    """Factors fitted to what runs took.

    Args:
        levels: of N runs.
        seconds: (N,) of them, above 0.
    """

    def __init__(self, levels: Sequence[Levels], seconds: Sequence[float]) -> None:
        self._span = Span()
        for each in levels:
            self._span.add(each)
        places = dict.fromkeys(place for each in levels for place in enumerate(each))
        self._columns = {place: column for column, place in enumerate(places)}
        rows = np.zeros((len(levels), len(places)))
        for row, each in zip(rows, levels, strict=True):
            row[[self._columns[place] for place in enumerate(each)]] = 1.0
        self._logarithms = np.linalg.lstsq(rows, np.log(np.asarray(seconds, np.float64)))[0]

    def seconds(self, levels: Levels) -> float | None:
        """Of a run of these levels; None where the others do not tell."""
        if not self._span.tells(levels):
            return None
        return math.exp(sum(self._logarithms[self._columns[place]] for place in enumerate(levels)))
