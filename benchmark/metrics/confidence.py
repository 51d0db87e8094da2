"""What a network says of each image: is it right, and how sure is it?

`calibration` asks whether that is honest, `selective` whether it tells the right from the wrong.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from benchmark.metrics.checks import labels_and_probabilities
from benchmark.metrics.classification import predicted_classes

# A probability counts as at least this much in a logarithm: float32's least normal number, so
# that nothing changes which a softmax in float32 can tell from 0.
_LEAST = float(np.finfo(np.float32).tiny)
# Rounded tables pass, logits and one-vs-rest scores do not.
_SUM_TOLERANCE = 1e-2

_Floats = NDArray[np.float64]
_Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Sample:
    """Images with their labels (N,) and probabilities (N, K), these in their own precision.

    As in `classification`, an image whose largest probability is shared by several classes is
    undecided, and wrong.
    """

    labels: _Integers
    probabilities: np.ndarray

    @classmethod
    def of(cls, labels: ArrayLike, probabilities: ArrayLike) -> "Sample":
        """Check them.

        Args:
            labels: (N,) int, in [0, K).
            probabilities: (N, K) float in [0, 1], rows sum to 1.

        Raises:
            ValueError: wrong shapes, no image, a label outside [0, K), or rows that are no
                probabilities.
        """
        return cls(*_checked(labels, probabilities))

    @property
    def size(self) -> int:
        """N."""
        return len(self.labels)

    @property
    def ones(self) -> _Floats:
        """(N, 1): the sample as it is."""
        return np.ones((self.size, 1))

    @cached_property
    def truth(self) -> _Floats:
        """(N, K) 1 for the true class, else 0."""
        return np.eye(self.probabilities.shape[1])[self.labels]

    @cached_property
    def confidence(self) -> np.ndarray:
        """(N,) the largest probability, in the precision of the probabilities."""
        return self.probabilities.max(axis=1)

    @cached_property
    def hits(self) -> _Floats:
        """(N,) 1 where the predicted class is the true one, else 0."""
        return (predicted_classes(self.probabilities) == self.labels).astype(np.float64)

    @cached_property
    def squared(self) -> _Floats:
        """(N,) squared distance from the truth, summed over the classes."""
        return ((self.truth - self.probabilities) ** 2).sum(axis=1)

    @cached_property
    def surprise(self) -> _Floats:
        """(N,) -ln of the true class's probability."""
        return -logits(self.probabilities)[np.arange(self.size), self.labels]


def logits(probabilities: np.ndarray) -> _Floats:
    """Logarithms of the probabilities; one below 1.2e-38 counts as that."""
    return np.log(np.maximum(probabilities.astype(np.float64), _LEAST))


def sums_at(rows: _Floats, ends: _Integers) -> _Floats:
    """(r, L + 1): 0, then the sum of each row (r, N) up to and with each of L places."""
    sums = np.cumsum(rows, axis=1)[:, ends]
    return np.concatenate([np.zeros((len(rows), 1)), sums], axis=1)


def _checked(labels: ArrayLike, probabilities: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    labels, probabilities = labels_and_probabilities(labels, probabilities)
    if not np.issubdtype(probabilities.dtype, np.floating):
        probabilities = probabilities.astype(np.float64)
    # Written so that NaN fails too.
    if not ((probabilities >= 0) & (probabilities <= 1 + _SUM_TOLERANCE)).all():
        raise ValueError("probabilities must be in [0, 1]")
    if not (np.abs(probabilities.sum(axis=1) - 1) <= _SUM_TOLERANCE).all():
        raise ValueError("the probabilities of an image must sum to 1")
    return labels.astype(np.int64), probabilities
