"""What runs of one framework on one machine tell of others, part by part."""

from collections.abc import Iterable, Sequence
from functools import cached_property
from statistics import median

from benchmark.sweep.factors import Factors, Levels
from benchmark.sweep.levels import DATA, METHOD, NETWORK
from benchmark.sweep.measured import Measured, StageSeconds

# Parts that grow with the pixels of an image and take the longer the slower the network is.
_OF_PIXELS = ("survey", "prediction", "explanation")
# Seconds below which a part is noise, and would weigh in a logarithm as much as any.
_LEAST = 0.05


class Fitted:
    """Runs by their levels; training is an effort once for all and one for each epoch.

    Args:
        runs: whose parts are known. Where their levels do not tell image sizes apart, all that
            grows with pixels is scaled by them.
    """

    def __init__(self, runs: Sequence[tuple[Levels, Measured]]) -> None:
        self._runs = runs
        self._by_levels: dict[Levels, list[Measured]] = {}
        for each, run in runs:
            self._by_levels.setdefault(each, []).append(run)
        self._trained = [(each, run) for each, run in runs if run.stages and run.epochs]

    @property
    def trained(self) -> int:
        """How many of the runs have trained, from which factors are fitted."""
        return len(self._trained)

    def like(self, asked: Levels, epochs: int, pixels: int) -> tuple[int, float]:
        """How many runs have these very levels; their median seconds, had they so much to do."""
        found = self._by_levels.get(asked, [])
        return len(found), _median(self._scaled(asked, run, epochs, pixels) for run in found)

    def others(self, asked: Levels, epochs: int, pixels: int) -> float | None:
        """Seconds by what is known of each level; None where that is not all known."""
        if not self._trained or not epochs:
            return None
        epoch, once = self._epoch.seconds(asked), self._once.seconds(asked)
        if epoch is None or once is None:
            return None
        of_pixels = sum(self._of_network(asked, part) for part in _OF_PIXELS)
        grown = (epoch * epochs + of_pixels) * pixels
        return self.start(asked) + self._of_data(asked) + once + grown

    def start(self, asked: Levels) -> float:
        """Seconds outside the record's parts: of the same network, else of all; 0: not known."""
        own = self._starts.get(asked[NETWORK], [])
        return _median(own or [start for starts in self._starts.values() for start in starts])

    def _scaled(self, asked: Levels, run: Measured, epochs: int, pixels: int) -> float:
        """Seconds of a run of these levels, had it so many epochs of such images."""
        grown = pixels / run.pixels
        training = self._warm_up(asked, run)
        if run.epochs:
            training += self._steady(asked, run) * epochs * grown
        others = sum(
            seconds * (grown if part in _OF_PIXELS else 1.0)
            for part, seconds in run.seconds.items()
            if part not in ("training", "data")
        )
        start = self.start(asked) if run.start is None else run.start
        return start + training + others + self._reading(asked)

    def _steady(self, own: Levels, run: Measured) -> float:
        """Seconds of one epoch of the recipe, in all stages, when nothing warms up."""
        known = _excesses(run.stages) or self._excess.get(own[NETWORK], [])
        return sum(stage.steady(_median(known)) for stage in run.stages) / max(run.epochs, 1)

    def _warm_up(self, own: Levels, run: Measured) -> float:
        """Seconds of training that do not grow with epochs."""
        return max(run.training - self._steady(own, run) * run.epochs, 0.0)

    @cached_property
    def _excess(self) -> dict[str, list[float]]:
        """By network: by how much first epochs were longer than the others of their stages."""
        found: dict[str, list[float]] = {}
        for each, run in self._runs:
            found.setdefault(each[NETWORK], []).extend(_excesses(run.stages))
        return found

    @cached_property
    def _starts(self) -> dict[str, list[float]]:
        found: dict[str, list[float]] = {}
        for each, run in self._runs:
            if run.start is not None:
                found.setdefault(each[NETWORK], []).append(run.start)
        return found

    @cached_property
    def _epoch(self) -> Factors:
        """Of seconds per epoch and pixel."""
        steady = [max(self._steady(each, run), _LEAST) / run.pixels for each, run in self._trained]
        return Factors([each for each, _ in self._trained], steady)

    @cached_property
    def _once(self) -> Factors:
        """Of seconds of training before, between and after the epochs."""
        warm_up = [max(self._warm_up(each, run), _LEAST) for each, run in self._trained]
        return Factors([each for each, _ in self._trained], warm_up)

    def _of_data(self, asked: Levels) -> float:
        """Reading, scoring, drawing."""
        known = (*_OF_PIXELS, "training", "data")
        rest = (
            sum(seconds for part, seconds in run.seconds.items() if part not in known)
            for run in self._of_level(DATA, asked)
        )
        return self._reading(asked) + _median(rest)

    def _reading(self, asked: Levels) -> float:
        # Whoever reads images first decodes them, and all others find them decoded.
        return min(run.seconds.get("data", 0.0) for run in self._of_level(DATA, asked))

    def _of_level(self, factor: int, asked: Levels) -> list[Measured]:
        return [run for each, run in self._runs if each[factor] == asked[factor]]

    def _of_network(self, asked: Levels, part: str) -> float:
        """Seconds per pixel of a part that follows the speed of the network.

        Data and method may each ask for it: the more of the two, where not both were run together.
        """
        found: dict[Levels, list[float]] = {}
        for each, run in self._trained:
            ours = self._epoch.seconds((asked[NETWORK], *each[1:]))
            theirs = self._epoch.seconds(each)
            if ours is not None and theirs is not None:
                seconds = run.seconds.get(part, 0.0) / run.pixels * ours / theirs
                found.setdefault(each[DATA:], []).append(seconds)
        if both := found.get(asked[DATA:]):
            return _median(both)
        return max(
            _median(
                seconds
                for each, several in found.items()
                if each[place - DATA] == asked[place]
                for seconds in several
            )
            for place in (DATA, METHOD)
        )


def _excesses(stages: Iterable[StageSeconds]) -> list[float]:
    return [stage.excess for stage in stages if stage.excess is not None]


def _median(values: Iterable[float]) -> float:
    """0 of none."""
    found = list(values)
    return median(found) if found else 0.0
