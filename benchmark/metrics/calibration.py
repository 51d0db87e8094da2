"""Whether a network's confidence can be trusted, and the temperature that mends it.

The confidence is the largest probability; an undecided image is wrong, see `Sample`.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar
from scipy.sparse import csr_array
from scipy.special import logsumexp, softmax

from benchmark.metrics.binary import in_chunks, ratio
from benchmark.metrics.confidence import Sample, logits, sums_at
from benchmark.metrics.selective import Kept

BINS = 10
# Per cent of the images that are kept, the most confident ones.
COVERAGES = (50, 80, 90)
SCORES = (
    "ece",
    "adaptive_ece",
    "classwise_ece",
    "brier",
    "negative_log_likelihood",
    "aurc",
    *(f"accuracy_at_coverage_{percent}" for percent in COVERAGES),
)
# The bounds of `fit_temperature`, ours: equally far from 1 in logarithm.
TEMPERATURES = (0.05, 20.0)

# A temperature must lower the loss by more than rounding does.
_GAIN = 1e-12

_Floats = NDArray[np.float64]
_Integers = NDArray[np.int64]


def scores(labels: ArrayLike, probabilities: ArrayLike) -> dict[str, float]:
    """The metrics named in `SCORES`, each as the function of its name with 10 bins.

    `aurc` is `selective.aurc`, `accuracy_at_coverage_80` is `selective.accuracy` at 80 per cent.

    Args:
        labels: (N,) int, in [0, K).
        probabilities: (N, K) float in [0, 1], rows sum to 1.

    Returns:
        Each metric; all are defined for every sample, of one image or one class too.

    Raises:
        ValueError: wrong shapes, no image, a label outside [0, K), or rows that are no
            probabilities.
    """
    sample = Sample.of(labels, probabilities)
    return {name: float(value[0]) for name, value in _all(sample)(sample.ones).items()}


def resampled(
    labels: ArrayLike, probabilities: ArrayLike, weights: ArrayLike
) -> dict[str, _Floats]:
    """The metrics of `scores` for R weighted versions of one sample, such as bootstrap resamples.

    Args:
        labels: (N,) int, in [0, K).
        probabilities: (N, K) float in [0, 1], rows sum to 1.
        weights: (R, N) int, at least 0: how many times each image enters each resample.

    Returns:
        Each metric as (R,) float64: row r is what `scores` gives when image i is repeated
        `weights[r, i]` times. NaN where a resample has no image.

    Raises:
        ValueError: as `scores`; weights negative, not integers or of another shape.
    """
    sample = Sample.of(labels, probabilities)
    return in_chunks(weights, sample.size, _all(sample))


def ece(labels: ArrayLike, probabilities: ArrayLike, bins: int = BINS) -> float:
    """Expected calibration error: the mean gap between confidence and accuracy in equal bins.

    Naeini, Cooper and Hauskrecht (AAAI 2015); Guo et al., "On calibration of modern neural
    networks" (ICML 2017), equation 3: the gap of a bin is |accuracy - mean confidence|, its weight
    its share of the images. A bin holds its lower edge and not its upper one, the last bin both
    (Guo's hold the upper one). Edges are compared in the precision of the probabilities, so that a
    float32 0.7 is 0.7.

    A calibrated network has an ECE above 0 too, because the share of right images in a bin varies;
    it is the larger, the fewer the images.

    Args:
        labels: (N,) int, in [0, K).
        probabilities: (N, K) float in [0, 1], rows sum to 1.
        bins: how many bins of equal width divide [0, 1].

    Returns:
        In [0, 1]; 0 is calibrated.

    Raises:
        ValueError: as `scores`; no bin.
    """
    sample = Sample.of(labels, probabilities)
    return float(_ece(sample, bins)(sample.ones)[0])


def adaptive_ece(labels: ArrayLike, probabilities: ArrayLike, bins: int = BINS) -> float:
    """`ece` with bins of equally many images, by rising confidence.

    Nguyen and O'Connor (EMNLP 2015); Nixon et al., "Measuring calibration in deep learning" (CVPR
    workshops 2019), on the largest probability. Where the images do not divide evenly, the first
    bins have one more, as in `numpy.array_split`. Images of one confidence that lie on a border
    are divided in proportion, the right and the wrong ones alike (ours): the order of the images
    does not matter.

    Args:
        labels: (N,) int, in [0, K).
        probabilities: (N, K) float in [0, 1], rows sum to 1.
        bins: how many bins; with fewer images each is a bin.

    Returns:
        In [0, 1].

    Raises:
        ValueError: as `scores`; no bin.
    """
    sample = Sample.of(labels, probabilities)
    return float(_adaptive_ece(sample, bins)(sample.ones)[0])


def classwise_ece(labels: ArrayLike, probabilities: ArrayLike, bins: int = BINS) -> float:
    """The mean over all classes of the calibration error of each class's own probability.

    Kull et al., "Beyond temperature scaling" (NeurIPS 2019); Nixon et al. 2019 call it static
    calibration error. Bins as in `ece`; the gap of a bin is |share of the class - mean
    probability of the class|. A class without images counts too: its probability should be 0.

    Args:
        labels: (N,) int, in [0, K).
        probabilities: (N, K) float in [0, 1], rows sum to 1.
        bins: how many bins of equal width divide [0, 1].

    Returns:
        In [0, 1].

    Raises:
        ValueError: as `scores`; no bin.
    """
    sample = Sample.of(labels, probabilities)
    return float(_classwise_ece(sample, bins)(sample.ones)[0])


def brier(labels: ArrayLike, probabilities: ArrayLike) -> float:
    """Mean squared distance of the probabilities from the truth, summed over the classes.

    Brier (1950), as he wrote it: in [0, 2], of two classes twice the score of the positive one.

    Args:
        labels: (N,) int, in [0, K).
        probabilities: (N, K) float in [0, 1], rows sum to 1.

    Raises:
        ValueError: as `scores`.
    """
    return float(Sample.of(labels, probabilities).squared.mean())


def negative_log_likelihood(labels: ArrayLike, probabilities: ArrayLike) -> float:
    """Mean of -ln of the true class's probability: the cross-entropy, in nats.

    A probability below 1.2e-38 counts as that, so one image costs 87.3 at most (ours).

    Args:
        labels: (N,) int, in [0, K).
        probabilities: (N, K) float in [0, 1], rows sum to 1.

    Returns:
        At least 0, up to rounding of the probabilities.

    Raises:
        ValueError: as `scores`.
    """
    return float(Sample.of(labels, probabilities).surprise.mean())


def reliability_table(
    labels: ArrayLike, probabilities: ArrayLike, bins: int = BINS
) -> pd.DataFrame:
    """What `ece` is made of: one row per bin, empty bins too.

    Returns:
        Index `bin`, from 1; columns `low`, `high`, `n` (images), `mean_confidence` and `accuracy`,
        NaN where there is no image.

    Raises:
        ValueError: as `scores`; no bin.
    """
    sample = Sample.of(labels, probabilities)
    member, edges = _bin_of(sample.confidence, bins), _edges(bins)
    n = np.bincount(member, minlength=bins)
    confidence, hits = (
        np.bincount(member, each, bins).astype(np.float64)
        for each in (sample.confidence, sample.hits)
    )
    return pd.DataFrame(
        {
            "low": edges[:-1],
            "high": edges[1:],
            "n": n,
            "mean_confidence": ratio(confidence, n),
            "accuracy": ratio(hits, n),
        },
        index=pd.RangeIndex(1, bins + 1, name="bin"),
    )


def fit_temperature(labels: ArrayLike, probabilities: ArrayLike) -> float:
    """The temperature of `scaled` that gives these images the least negative log-likelihood.

    Guo et al. 2017, section 4.2. Their logits equal the logarithms of the probabilities up to a
    constant per image, which the softmax takes away. To be fitted on validation images.

    Searched in `TEMPERATURES`, from 0.05 to 20. A bound is returned where the loss still falls
    there: the lower one where every image is right, the upper one where confidence misleads. 1 is
    returned where no temperature is better, as for uniform probabilities.

    Args:
        labels: (N,) int, in [0, K).
        probabilities: (N, K) float in [0, 1], rows sum to 1.

    Returns:
        Above 1 for a network that is too confident. The loss of these images never rises.

    Raises:
        ValueError: as `scores`.
    """
    sample = Sample.of(labels, probabilities)
    values = logits(sample.probabilities)
    own = values[np.arange(sample.size), sample.labels]

    def loss(temperature: float) -> float:
        return float(np.mean(logsumexp(values / temperature, axis=1) - own / temperature))

    # In the logarithm: the loss is convex in 1 / temperature, so it has one valley there too.
    found = minimize_scalar(
        lambda logarithm: loss(np.exp(logarithm)), bounds=np.log(TEMPERATURES), method="bounded"
    )
    # The search comes near a bound but never to it.
    best = min((*TEMPERATURES, float(np.exp(found.x))), key=loss)
    return best if loss(best) < loss(1.0) - _GAIN else 1.0


def scaled(probabilities: ArrayLike, temperature: float) -> _Floats:
    """The probabilities at another temperature: softmax(log(probabilities) / temperature).

    Args:
        probabilities: (N, K) float in [0, 1], rows sum to 1; below 1.2e-38 they count as that.
        temperature: above 0. Above 1 softens, 1 changes nothing; the order of an image's classes
            stays.

    Returns:
        (N, K) float64, rows sum to 1.

    Raises:
        ValueError: a temperature that is not above 0.
    """
    if not temperature > 0:
        raise ValueError(f"a temperature is above 0, not {temperature}")
    return softmax(logits(np.asarray(probabilities)) / temperature, axis=1)


_Measure = Callable[[_Floats], _Floats]


def _all(sample: Sample) -> Callable[[_Floats], dict[str, _Floats]]:
    """From weights (N, r) to each of `SCORES`, (r,)."""
    binned: dict[str, _Measure] = {
        "ece": _ece(sample, BINS),
        "adaptive_ece": _adaptive_ece(sample, BINS),
        "classwise_ece": _classwise_ece(sample, BINS),
    }

    def measure(by_image: _Floats) -> dict[str, _Floats]:
        total = by_image.sum(axis=0)
        kept = Kept.of(sample, by_image)
        found = {name: score(by_image) for name, score in binned.items()}
        found["brier"] = ratio(sample.squared @ by_image, total)
        found["negative_log_likelihood"] = ratio(sample.surprise @ by_image, total)
        found["aurc"] = kept.aurc()
        return found | {f"accuracy_at_coverage_{p}": kept.accuracy(p) for p in COVERAGES}

    return measure


def _ece(sample: Sample, bins: int) -> _Measure:
    return _gaps(_bin_of(sample.confidence, bins), sample.hits - sample.confidence, bins)


def _classwise_ece(sample: Sample, bins: int) -> _Measure:
    classes = sample.probabilities.shape[1]
    member = _bin_of(sample.probabilities, bins) + bins * np.arange(classes)
    total = _gaps(member, sample.truth - sample.probabilities, bins * classes)
    return lambda by_image: total(by_image) / classes


def _gaps(member: _Integers, gaps: _Floats, bins: int) -> _Measure:
    """The share-weighted mean of the bins' gaps.

    Args:
        member: (N, ...) the bin of each entry.
        gaps: (N, ...) truth minus probability of each.
        bins: how many there are.
    """
    image = np.repeat(np.arange(len(gaps)), gaps.size // len(gaps))
    table = csr_array((gaps.ravel(), (member.ravel(), image)), shape=(bins, len(gaps)))
    return lambda by_image: ratio(np.abs(table @ by_image).sum(axis=0), by_image.sum(axis=0))


def _adaptive_ece(sample: Sample, bins: int) -> _Measure:
    _check_bins(bins)
    rising = np.argsort(sample.confidence, kind="stable")
    ends = np.flatnonzero(np.diff(sample.confidence[rising], append=2))
    gaps = (sample.hits - sample.confidence)[rising]

    def measure(by_image: _Floats) -> _Floats:
        drawn = by_image.T[:, rising]
        images, gap = sums_at(drawn, ends), sums_at(drawn * gaps, ends)
        total = images[:, -1:]
        each = np.arange(bins + 1)
        borders = each * (total // bins) + np.minimum(each, total % bins)
        at = [np.interp(*row) for row in zip(borders, images, gap, strict=True)]
        found = np.abs(np.diff(np.reshape(at, borders.shape))).sum(axis=1)
        return ratio(found, total[:, 0])

    return measure


def _bin_of(values: np.ndarray, bins: int) -> _Integers:
    """The bin of each value, from 0; lower edges belong to their bin."""
    _check_bins(bins)
    inner = _edges(bins)[1:-1].astype(values.dtype)
    return np.searchsorted(inner, values, side="right")


def _edges(bins: int) -> _Floats:
    # Not `linspace`, whose 3 of 10 is a little more than 0.3.
    return np.arange(bins + 1) / bins


def _check_bins(bins: int) -> None:
    if bins < 1:
        raise ValueError(f"there must be a bin, not {bins}")
