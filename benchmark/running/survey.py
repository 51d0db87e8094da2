"""What a method may ask of the network between two stages, see `benchmark.methods.base.Survey`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmark.common.progress import Display
from benchmark.data.pipeline import Samples, plain_batches
from benchmark.training.engine import Engine
from benchmark.training.loop import PREDICTION_BATCH, Selection, predict
from tasks.scoring import resamples

# Enough for a decision, which a method may take many times (ours).
_RESAMPLES = 200


@dataclass(frozen=True)
class TrialSurvey:
    """Asks the network of one trial.

    Attributes:
        engine: of the network.
        labelled: training images whose labels are known.
        of_unlabelled: the others; their labels are not there.
        of_validation: validation images.
        groups: (V,) the lesion or patient of each of them.
        selection: the task's validation score.
        seed: of the run.
        display: where progress goes.
    """

    engine: Engine
    labelled: Samples
    of_unlabelled: Samples
    of_validation: Samples
    groups: np.ndarray
    selection: Selection
    seed: int
    display: Display

    def unlabelled(self) -> np.ndarray:
        """Softmax probabilities (M, K) float32 of the unlabelled images."""
        return predict(self.engine, self.of_unlabelled, None, self.seed, self.display.track)

    def features(self) -> tuple[np.ndarray, np.ndarray]:
        """Of the labelled images (N, D) and of the unlabelled ones (M, D), float32."""
        return self._features(self.labelled), self._features(self.of_unlabelled)

    def logits(self) -> np.ndarray:
        """Of the labelled images (N, K), float32."""
        size = PREDICTION_BATCH
        batches = -(-len(self.labelled) // size)
        stream = plain_batches(self.labelled, size)
        return self.engine.logits(iter(self.display.track(stream, "asking the teacher", batches)))

    def validation(self, classifiers: Sequence[Callable[[np.ndarray], np.ndarray]]) -> np.ndarray:
        """(C, 1 + R) validation scores of C classifiers: of all images, then of R resamples."""
        labels = self.of_validation.labels
        features = self._features(self.of_validation)
        weights = resamples(labels, self.groups)[:_RESAMPLES]
        drawn = [np.repeat(np.arange(len(labels)), times) for times in weights]
        every = [np.arange(len(labels)), *drawn]
        scores = []
        for classify in self.display.track(classifiers, "comparing candidates", len(classifiers)):
            found = classify(features)
            scores.append([self.selection(labels[rows], found[rows]) for rows in every])
        return np.array(scores)

    def _features(self, samples: Samples) -> np.ndarray:
        if not len(samples):
            return np.empty((0, self.engine.network.width), np.float32)
        batches = -(-len(samples) // PREDICTION_BATCH)
        stream = self.display.track(
            plain_batches(samples, PREDICTION_BATCH), "extracting features", batches
        )
        return np.concatenate([self.engine.network.features(images) for images in stream])
