"""Losses as scalars, means over the batch, on whatever tensors the running Keras backend has.

Everything is computed in float32 at least, whatever the precision of the network, or small
probabilities vanish. Tensors may be given as numpy arrays. What a loss needs of the class counts
is worked out in `benchmark.methods.rates`. Importing this module imports keras: set KERAS_BACKEND
first (the engines do).
"""

from typing import Any

import numpy as np
from keras import backend, ops

from benchmark.methods import rates

Tensor = Any

# Keeps zero away from a division or a power; lost in the rounding of anything that matters.
TINY = 1e-12
# Takes a pair out of a sum of exponentials; minus infinity would make NaN of 0 * infinity.
NEVER = -1e30


def probabilities(logits: Tensor) -> Tensor:
    """The softmax of logits (N, K) over K, float32 at least."""
    return ops.softmax(_precise(logits), axis=-1)


def cross_entropy(
    logits: Tensor,
    labels: Tensor,
    class_weights: Tensor | None = None,
    normalised: bool = False,
    known: Tensor | None = None,
) -> Tensor:
    """Softmax cross-entropy.

    Args:
        logits: (N, K) float; the loss is float32 for anything below, or small probabilities vanish.
        labels: (N,) integers in 0..K-1; anything where they are not known.
        class_weights: (K,) float; each image's loss is multiplied by its class's weight and the
            mean is taken over N (Keras' `class_weight` rule; torch divides by the weights' sum).
        normalised: divide by the sum of the images' weights instead of N (torch's rule).
        known: (N,) bool, which images count, without class weights; None: all.
    """
    logits = _precise(logits)
    losses = -_log_likelihood(logits, labels)
    if class_weights is None:
        return _mean(losses, known)
    if known is not None:
        raise ValueError("class weights are for images that are all known")
    weights = ops.take(_like(class_weights, logits), labels)
    if normalised:
        return ops.sum(losses * weights) / ops.sum(weights)
    return ops.mean(losses * weights)


def focal(logits: Tensor, labels: Tensor, gamma: float, alpha: Tensor | None = None) -> Tensor:
    """Focal loss in its softmax form: mean of -alpha_y (1 - p_y)^gamma log p_y.

    Lin et al. 2017 (arXiv 1708.02002), equation 5, which has a sigmoid.

    Args:
        logits: (N, K) float.
        labels: (N,) integers in 0..K-1.
        gamma: 0 or more; 0 without alpha is the cross-entropy.
        alpha: (K,) float, a weight for each class; None: all 1.
    """
    logits = _precise(logits)
    log_p = _log_likelihood(logits, labels)
    # 1 - p; TINY because the derivative of a power below 1 is infinite at 0.
    losses = -log_p * (TINY - ops.expm1(log_p)) ** float(gamma)
    if alpha is not None:
        losses = losses * ops.take(_like(alpha, logits), labels)
    return ops.mean(losses)


def ldam(
    cosines: Tensor,
    labels: Tensor,
    counts: np.ndarray,
    max_margin: float = 0.5,
    scale: float = 30.0,
    class_weights: Tensor | None = None,
) -> Tensor:
    """Label-distribution-aware margin loss: cross-entropy of scale * (cosines - margin_y at y).

    Cao et al. 2019 (arXiv 1906.07413), L_LDAM; the scale is that of their code.

    Args:
        cosines: (N, K) float in -1..1, of the features and the classifier's class vectors.
        labels: (N,) integers in 0..K-1.
        counts: (K,) training images of each class.
        max_margin: the margin of the rarest class, see `rates.ldam_margins`.
        scale: what the cosines are multiplied by.
        class_weights: (K,) float, for deferred re-weighting; the losses' sum is divided by that of
            the images' weights, as in their code.
    """
    cosines = _precise(cosines)
    margins = _like(rates.ldam_margins(counts, max_margin), cosines)
    logits = float(scale) * (cosines - margins * _one_hot(labels, cosines))
    return cross_entropy(logits, labels, class_weights, normalised=True)


def logit_adjusted(logits: Tensor, labels: Tensor, counts: np.ndarray, tau: float = 1.0) -> Tensor:
    """Cross-entropy of logits + tau * log prior: Menon et al. 2021 (arXiv 2007.07314), equation 10.

    Args:
        logits: (N, K) float.
        labels: (N,) integers in 0..K-1.
        counts: (K,) training images of each class; none counts as one, see `rates.log_prior`.
        tau: 0 is the cross-entropy.
    """
    logits = _precise(logits)
    return cross_entropy(logits + _like(tau * rates.log_prior(counts), logits), labels)


def balanced_softmax(logits: Tensor, labels: Tensor, counts: np.ndarray) -> Tensor:
    """`logit_adjusted` with tau 1: Ren et al. 2020 (arXiv 2007.10740).

    They add log counts, we log priors: a softmax does not see the difference.
    """
    return logit_adjusted(logits, labels, counts, tau=1.0)


def supcon(embeddings: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """Supervised contrastive loss: Khosla et al. 2020 (arXiv 2004.11362), equation 2 (L_out).

    Every view of every image is an anchor; its positives are the other views with its label. The
    mean is over all anchors: one without a positive contributes 0 to it.

    Args:
        embeddings: (N, V, D) float, V views of each image, of any length: they are divided by it.
        labels: (N,) integers.
        temperature: above 0.

    Raises:
        ValueError: the embeddings do not have three axes.
    """
    return ops.mean(_anchor_losses(embeddings, labels, temperature))


def nt_xent(embeddings: Tensor, temperature: float) -> Tensor:
    """`supcon` where only the views of the same image are positives.

    Chen et al. 2020 (arXiv 2002.05709), equation 1, there for two views. Arguments as of `supcon`.
    """
    return supcon(embeddings, ops.arange(ops.shape(embeddings)[0]), temperature)


def prediction_consistency(
    student_logits: Tensor, teacher_logits: Tensor, class_weights: Tensor | None = None
) -> Tensor:
    """Mean over images of the squared distance between the student's and teacher's probabilities.

    Liu et al. 2020 (arXiv 2005.07377), consistency loss, weights as in their code. No gradient
    reaches the teacher.

    Args:
        student_logits: (N, K) float.
        teacher_logits: (N, K) float.
        class_weights: (K,) float, a weight for each squared difference; None: all 1.
    """
    student = probabilities(student_logits)
    teacher = _teacher(probabilities(teacher_logits), student)
    squares = (student - teacher) ** 2
    if class_weights is not None:
        squares = squares * _like(class_weights, squares)
    return ops.mean(ops.sum(squares, axis=-1))


def relation_consistency(student_features: Tensor, teacher_features: Tensor) -> Tensor:
    """How differently student and teacher relate the images of a batch to each other.

    Each network's relations are the products of its features of every two images, each image's
    row divided by its length; the loss is the mean over images of the squared distance of the
    rows: Liu et al. 2020 (arXiv 2005.07377), sample relation consistency. No gradient reaches the
    teacher. Neither scaling nor a common rotation of one side's features changes it.

    Args:
        student_features: (N, D) float.
        teacher_features: (N, E) float.
    """
    student = _relations(_precise(student_features))
    teacher = _teacher(_relations(_precise(teacher_features)), student)
    return ops.mean(ops.sum((student - teacher) ** 2, axis=-1))


def fixmatch(weak_logits: Tensor, strong_logits: Tensor, threshold: float) -> Tensor:
    """Cross-entropy of the strong view to the weak view's class, where the weak view is sure.

    Sohn et al. 2020 (arXiv 2001.07685), equation 4: the mean is over all images, those below the
    threshold contribute 0. No gradient reaches the weak view. To align the weak view's
    distribution first, as CReST+ does, add log(target / average) to its logits.

    Args:
        weak_logits: (N, K) float.
        strong_logits: (N, K) float.
        threshold: the least probability that counts, in 0..1.
    """
    strong = _precise(strong_logits)
    weak = probabilities(weak_logits)
    sure = ops.cast(ops.max(weak, axis=-1) >= float(threshold), strong.dtype)
    return -ops.mean(sure * _log_likelihood(strong, ops.argmax(weak, axis=-1)))


def distillation(
    student_logits: Tensor,
    teacher_logits: Tensor,
    temperature: float,
    known: Tensor | None = None,
) -> Tensor:
    """Cross-entropy of softmax(student / T) to softmax(teacher / T), as of a head of SALL.

    Ju et al. 2021 (arXiv 2003.10607) and their code; no factor T^2, so that gradients shrink with
    T. No gradient reaches the teacher.

    Args:
        student_logits: (N, K) float.
        teacher_logits: (N, K) float.
        temperature: above 0.
        known: (N,) bool, which images count; None: all.
    """
    log_student, log_teacher = _softened(student_logits, teacher_logits, temperature)
    return -_mean(ops.sum(ops.exp(log_teacher) * log_student, axis=-1), known)


def knowledge_distillation(
    student_logits: Tensor,
    teacher_logits: Tensor,
    labels: Tensor,
    temperature: float,
    share: float,
    known: Tensor | None = None,
) -> Tensor:
    """(1 - share) * cross-entropy + share * T^2 * KL(softmax(teacher / T) || softmax(student / T)).

    Hinton et al. 2015 (arXiv 1503.02531), section 2. No gradient reaches the teacher.

    Args:
        student_logits: (N, K) float.
        teacher_logits: (N, K) float.
        labels: (N,) integers in 0..K-1; anything where they are not known.
        temperature: T, above 0.
        share: of the teacher's part, in 0..1.
        known: (N,) bool, which images count; None: all.
    """
    log_student, log_teacher = _softened(student_logits, teacher_logits, temperature)
    each = ops.sum(ops.exp(log_teacher) * (log_teacher - log_student), axis=-1)
    taught = float(temperature) ** 2 * _mean(each, known)
    own = cross_entropy(student_logits, labels, known=known)
    return (1 - float(share)) * own + float(share) * taught


def _mean(losses: Tensor, known: Tensor | None) -> Tensor:
    """The mean of the known images' losses (N,); 0 where there is none of them."""
    if known is None:
        return ops.mean(losses)
    counted = ops.cast(known, backend.standardize_dtype(losses.dtype))
    count = ops.sum(counted)
    return ops.sum(losses * counted) / (count + ops.cast(count == 0, counted.dtype))


def _precise(tensor: Tensor) -> Tensor:
    # Keras' own result_type takes float64 down to float32 on torch, and so do its matmul, maximum
    # and mean: only the mean is used here, as it comes last and costs a value its eighth digit.
    dtype = "float64" if backend.standardize_dtype(tensor.dtype) == "float64" else "float32"
    return ops.cast(tensor, dtype)


def _like(values: Any, tensor: Tensor) -> Tensor:
    return ops.convert_to_tensor(values, backend.standardize_dtype(tensor.dtype))


def _teacher(tensor: Tensor, student: Tensor) -> Tensor:
    return ops.stop_gradient(ops.cast(tensor, backend.standardize_dtype(student.dtype)))


def _one_hot(labels: Tensor, logits: Tensor) -> Tensor:
    return ops.one_hot(labels, logits.shape[-1], dtype=backend.standardize_dtype(logits.dtype))


def _log_likelihood(logits: Tensor, labels: Tensor) -> Tensor:
    """(N,) log of each image's probability of its label."""
    return ops.sum(_one_hot(labels, logits) * ops.log_softmax(logits, axis=-1), axis=-1)


def _softened(
    student_logits: Tensor, teacher_logits: Tensor, temperature: float
) -> tuple[Tensor, Tensor]:
    """Logarithms of both softened probabilities, (N, K) each."""
    student = ops.log_softmax(_precise(student_logits) / float(temperature), axis=-1)
    teacher = ops.log_softmax(_precise(teacher_logits) / float(temperature), axis=-1)
    return student, _teacher(teacher, student)


def _unit_rows(rows: Tensor) -> Tensor:
    return rows * ops.rsqrt(ops.sum(rows**2, axis=-1, keepdims=True) + TINY**2)


def _gram(rows: Tensor) -> Tensor:
    """(M, M) products of every two rows."""
    # float64 because bfloat16 autocast (in which the torch engine calls a loss) and TF32 (which
    # TensorFlow uses on a GPU) both leave three digits of a float32 product. It is small.
    exact = ops.cast(rows, "float64")
    return ops.cast(exact @ ops.transpose(exact), backend.standardize_dtype(rows.dtype))


def _relations(features: Tensor) -> Tensor:
    return _unit_rows(_gram(features))


def _anchor_losses(embeddings: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """(N * V,) loss of each anchor, the views of an image next to each other."""
    embeddings = _precise(embeddings)
    if len(embeddings.shape) != 3:
        raise ValueError(f"embeddings are (images, views, D), not {tuple(embeddings.shape)}")
    _, views, length = embeddings.shape
    similar = _gram(_unit_rows(ops.reshape(embeddings, (-1, length)))) / float(temperature)
    anchors = ops.arange(ops.shape(similar)[0])
    itself = anchors[:, None] == anchors[None, :]
    labels = ops.repeat(labels, views)
    same = ops.logical_and(labels[:, None] == labels[None, :], ops.logical_not(itself))
    positive = ops.cast(same, backend.standardize_dtype(similar.dtype))
    others = ops.where(itself, ops.full_like(similar, NEVER), similar)
    # logsumexp subtracts the row's maximum, without a gradient through it.
    log_p = similar - ops.logsumexp(others, axis=-1, keepdims=True)
    found = ops.sum(positive, axis=-1)
    return -ops.sum(positive * log_p, axis=-1) / (found + ops.cast(found == 0, found.dtype))
