"""Changing a trained classifier without training it, by a choice on validation images."""

import time
from dataclasses import dataclass

import numpy as np
from scipy.special import softmax

from benchmark.data.pipeline import Samples, plain_batches
from benchmark.methods.base import Adjustment
from benchmark.training.engine import Engine
from benchmark.training.loop import PREDICTION_BATCH, Selection


@dataclass(frozen=True)
class Adjusted:
    """What was done: the candidate's name, and its validation score where there was a choice."""

    stage: str
    chosen: str
    score: float | None
    seconds: float


def adjust(
    engine: Engine, adjustment: Adjustment, validation: Samples, selection: Selection
) -> Adjusted:
    """Scale and shift the network's logits by the candidate with the best validation score.

    The validation logits are computed once for all candidates. Ties keep the earlier candidate.
    """
    started = time.monotonic()
    candidates = adjustment.candidates(*engine.network.classifier())
    best, score = candidates[0], None
    if len(candidates) > 1:
        logits = engine.logits(plain_batches(validation, PREDICTION_BATCH))
        scores = [
            selection(validation.labels, softmax(each.scale * logits + each.shift, axis=1))
            for each in candidates
        ]
        place = int(np.argmax(scores))
        best, score = candidates[place], scores[place]
    engine.network.scale_logits(best.scale, best.shift)
    return Adjusted(adjustment.name, best.name, score, time.monotonic() - started)
