"""What a run refuses before it trains: leaks between its parts, and from its pre-training data."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from benchmark.data import Dataset, leaks, splits
from benchmark.data.pixels import Decoded, Progress
from tasks.base import SPLIT_SEED, Trial


def refuse_leaks(
    dataset: Dataset,
    trials: Sequence[Trial],
    earlier: Sequence[Dataset],
    allowed: bool,
    decoded: Decoded | None = None,
    progress: Progress | None = None,
) -> tuple[str, ...]:
    """See that no two parts share an image, a lesion or a patient.

    Args:
        dataset: of the trials.
        trials: each has a train, a validation and a test part.
        earlier: data to pre-train on: their own parts are compared too, and all of each with the
            test images.
        allowed: tell of leaks instead of refusing them.
        decoded: gives the pixels, for near-identical ones; None leaves those out.
        progress: called as `progress(items, description, total)`, passes the items on.

    Returns:
        One sentence for each trial or earlier data set that leaks.

    Raises:
        DataError: there are leaks and they are not allowed.
    """

    def pixels(data: Dataset) -> np.ndarray | None:
        return None if decoded is None else decoded(data)

    told: list[str] = []

    def judge(
        found: pd.DataFrame, parts: dict[str, Sequence[str]], other: Dataset | None = None
    ) -> None:
        if not allowed:
            leaks.refuse(found, dataset, parts, other)
        told.append(leaks.summary(found, parts, allowed))

    for trial in trials:
        parts = parts_of(trial)
        judge(leaks.find(dataset, parts, pixels(dataset), progress), parts)
    test = sorted({sample for trial in trials for sample in trial.test})
    for other in earlier:
        own = splits.partition(other, SPLIT_SEED)
        found = leaks.find(other, own, pixels(other), progress)
        if not allowed:
            leaks.refuse(found, other, own)
        told.append(leaks.summary(found, own, allowed))
        found = leaks.between(other, dataset, test, pixels(other), pixels(dataset), progress)
        judge(found, {"test": test}, other)
    return tuple(filter(None, told))


def parts_of(trial: Trial) -> dict[str, Sequence[str]]:
    """The parts that must share nothing, the earlier used first."""
    return {"train": trial.train, "validation": trial.validation, "test": trial.test}
