"""Every loss once more, in numpy alone, and gradients of either.

A framework's gradient is compared with the central finite difference of the numpy loss: two
frameworks that both equal this third reference equal each other, with no process that holds both.
"""

import numpy as np


def softmax(logits):
    exp = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exp / exp.sum(axis=1, keepdims=True)


def cross_entropy(logits, labels, class_weights=None, normalised=False):
    weights = np.ones(len(labels)) if class_weights is None else np.asarray(class_weights)[labels]
    each = -weights * np.log(softmax(logits)[np.arange(len(labels)), labels])
    return each.sum() / (weights.sum() if normalised else len(labels))


def focal(logits, labels, gamma, alpha=None):
    p = softmax(logits)[np.arange(len(labels)), labels]
    weights = 1 if alpha is None else np.asarray(alpha)[labels]
    return np.mean(-weights * (1 - p) ** gamma * np.log(p))


def ldam(cosines, labels, counts, max_margin=0.5, scale=30.0, class_weights=None):
    margins = np.asarray(counts) ** -0.25
    shifted = np.array(cosines)
    shifted[np.arange(len(labels)), labels] -= (margins / margins.max() * max_margin)[labels]
    losses = np.array(
        [cross_entropy(scale * shifted[[i]], labels[[i]]) for i in range(len(labels))]
    )
    weights = np.ones(len(labels)) if class_weights is None else np.asarray(class_weights)[labels]
    return (weights * losses).sum() / weights.sum()


def balanced_softmax(logits, labels, counts):
    weighted = np.asarray(counts) * np.exp(logits)
    return np.mean(np.log(weighted.sum(axis=1) / weighted[np.arange(len(labels)), labels]))


def logit_adjusted(logits, labels, counts, tau=1.0):
    return cross_entropy(logits + tau * np.log(counts / np.sum(counts)), labels)


def supcon(embeddings, labels, temperature):
    """Word for word: the pairs of every anchor, one after the other."""
    count, views, _ = embeddings.shape
    z = embeddings / np.linalg.norm(embeddings, axis=2, keepdims=True)
    z, labels = z.reshape(count * views, -1), np.repeat(labels, views)
    total = 0.0
    for i in range(len(z)):
        others = [a for a in range(len(z)) if a != i]
        positives = [p for p in others if labels[p] == labels[i]]
        if positives:
            terms = np.exp(z[others] @ z[i] / temperature)
            hits = np.exp(z[positives] @ z[i] / temperature)
            total -= np.mean(np.log(hits / terms.sum()))
    return total / len(z)


def nt_xent(embeddings, temperature):
    """SimCLR's form, for two views: the cross-entropy of finding the other view."""
    z = embeddings / np.linalg.norm(embeddings, axis=2, keepdims=True)
    z = np.concatenate([z[:, 0], z[:, 1]])
    similar = z @ z.T / temperature
    np.fill_diagonal(similar, -1e9)
    half = len(embeddings)
    return cross_entropy(similar, np.r_[half : 2 * half, 0:half])


def prediction_consistency(student, teacher, class_weights=None):
    weights = 1 if class_weights is None else np.asarray(class_weights)
    return np.mean(np.sum(weights * (softmax(student) - softmax(teacher)) ** 2, axis=1))


def relation_consistency(student, teacher):
    def relations(features):
        gram = features @ features.T
        return gram / np.linalg.norm(gram, axis=1, keepdims=True)

    return np.sum((relations(student) - relations(teacher)) ** 2) / len(student)


def fixmatch_of_strong(strong, weak, threshold):
    """The arguments the other way round: the first is the one that learns."""
    p = softmax(weak)
    sure = p.max(axis=1) >= threshold
    return np.mean(sure * -np.log(softmax(strong)[np.arange(len(p)), p.argmax(axis=1)]))


def distillation(student, teacher, temperature):
    return -np.mean(
        np.sum(softmax(teacher / temperature) * np.log(softmax(student / temperature)), axis=1)
    )


def knowledge_distillation(student, teacher, labels, temperature, share):
    targets = softmax(teacher / temperature)
    entropy = -np.mean(np.sum(targets * np.log(targets), axis=1))
    taught = temperature**2 * (distillation(student, teacher, temperature) - entropy)
    return (1 - share) * cross_entropy(student, labels) + share * taught


def finite_difference(loss, at, step=1e-6):
    """Gradient of `loss(array)` at the float64 array `at`, by central differences."""
    gradient = np.empty_like(at)
    for index in np.ndindex(at.shape):
        nudge = np.zeros_like(at)
        nudge[index] = step
        gradient[index] = (loss(at + nudge) - loss(at - nudge)) / (2 * step)
    return gradient


def gradient(framework, loss, at):
    """Gradient of `loss(tensor)` at the array `at`, by the framework; None: it does not reach."""
    if framework == "torch":
        import torch

        tensor = torch.tensor(at, requires_grad=True)
        value = loss(tensor)
        if not value.requires_grad:
            return None
        value.backward()
        return None if tensor.grad is None else tensor.grad.numpy()
    import tensorflow as tf

    tensor = tf.constant(at)
    with tf.GradientTape() as tape:
        tape.watch(tensor)
        value = loss(tensor)
    found = tape.gradient(value, tensor)
    return None if found is None else found.numpy()
