"""One network that grades several diseases: its heads, their weights, the losses of their grades.

Every method of a joint network takes them from here, and so does `single-task`, so that a joint
network of which one head counts is trained by the same numbers as a network for that disease alone.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import add

import numpy as np
from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from benchmark import config
from benchmark.data.dataset import UNLABELLED
from benchmark.errors import UserError
from benchmark.methods.base import Batch, Context, Method, Tensor, Trainee

_SPELLING = "write it as DR=1,DME=0.5: each disease once, with a weight of 0 or more"


class HeadOptions(config.Options):
    """Of a joint network."""

    head_weights: str = Field(
        "",
        description="of the diseases' losses, such as DR=1,DME=0.5; 1 for those not named; a"
        " disease of weight 0 takes no part in training (ours; SALL's code sets none)",
    )

    @field_validator("head_weights")
    @classmethod
    def _spelt(cls, text: str) -> str:
        _parsed(text)
        return text


class JointMethod(Method):
    """A method of one network for several diseases, which may weigh their losses."""

    Options = HeadOptions
    joint = True

    def notes(self, diseases: Sequence[str]) -> tuple[str, ...]:
        """Which diseases are not trained.

        Raises:
            UserError: as `heads`.
        """
        weights = _weights(self.options, diseases)
        idle = [name for name in diseases if not weights[name]]
        told = "has weight 0: its head is as drawn, and its scores are part of the mean"
        return (*super().notes(diseases), *(f"{name} {told}" for name in idle))


@dataclass(frozen=True)
class Head:
    """One disease of a network, whose labels and logits are of several.

    Attributes:
        name: of the disease.
        number: its column of the labels (N, D).
        logits: its columns of the logits (N, K).
        weight: of its loss.
    """

    name: str
    number: int
    logits: slice
    weight: float = 1.0

    def said(self, logits: Tensor) -> Tensor:
        """(N, G) its columns of (N, K), one for each grade."""
        return logits[:, self.logits]

    def grades(self, labels: Tensor) -> Tensor:
        """(N,) its column of (N, D)."""
        return labels[:, self.number]

    def known(self, labels: Tensor) -> Tensor:
        """(N,) bool, which images have a grade of it."""
        return self.grades(labels) != UNLABELLED


def heads(context: Context, options: HeadOptions) -> tuple[Head, ...]:
    """The diseases of a weight above 0, in the order of the labels' columns.

    Raises:
        UserError: a weight for a disease that the data do not have, or no weight above 0.
    """
    weights = _weights(options, [part.name for part in context.parts])
    every = [
        Head(part.name, number, part.logits, weights[part.name])
        for number, part in enumerate(context.parts)
    ]
    return tuple(head for head in every if head.weight)


def weighted(heads: Sequence[Head], loss: Callable[[Head], Tensor]) -> Tensor:
    """The sum over diseases, of which there is one at least, of weight * loss."""
    return reduce(add, (head.weight * loss(head) for head in heads))


def graded(heads: Sequence[Head], logits: Tensor, labels: Tensor) -> Tensor:
    """The sum over diseases of weight * mean cross-entropy of the images whose grade is known.

    A disease adds 0 where no image of the batch has a grade of it.

    Args:
        heads: at least one.
        logits: (N, K) float.
        labels: (N, D) integers, UNLABELLED where not known.
    """
    from benchmark.methods import losses

    return weighted(
        heads,
        lambda head: losses.cross_entropy(
            head.said(logits), head.grades(labels), known=head.known(labels)
        ),
    )


def softly_graded(
    heads: Sequence[Head],
    logits: Tensor,
    taught: Tensor,
    labels: Tensor,
    temperature: float,
) -> Tensor:
    """The same sum over the images whose grade is not known, of soft labels of the teachers.

    weight * T^2 * mean cross-entropy of softmax(student / T) to softmax(teacher / T); T^2 is that
    of Hinton et al. 2015 (arXiv 1503.02531), section 2, and not in SALL's code.

    Args:
        heads: at least one.
        logits: (N, K) float, the student's.
        taught: (N, K) float, each disease's columns by its own teacher.
        labels: (N, D) integers, UNLABELLED where not known.
        temperature: T, above 0.
    """
    from benchmark.methods import losses

    soft = weighted(
        heads,
        lambda head: losses.distillation(
            head.said(logits),
            head.said(taught),
            temperature,
            known=head.grades(labels) == UNLABELLED,
        ),
    )
    return temperature**2 * soft


def single_loss(head: Head, network: Trainee, batch: Batch) -> Tensor:
    """A stage's loss, of one disease and unweighted."""
    return graded((replace(head, weight=1.0),), network(batch.images).logits, batch.labels)


def with_grades(heads: Sequence[Head], labels: np.ndarray) -> np.ndarray:
    """(P,) int64, which of the images (N, D) have a grade of one of the diseases at least."""
    return np.flatnonzero(np.any([head.known(labels) for head in heads], axis=0))


def judging(heads: Sequence[Head]) -> tuple[int, ...]:
    """What `Stage.judged_by` says where all of these are judged."""
    return tuple(head.number for head in heads)


def _weights(options: HeadOptions, names: Sequence[str]) -> dict[str, float]:
    """The weight of each of these diseases."""
    told = f"--method-option head_weights {options.head_weights}"
    asked = _parsed(options.head_weights)
    for name in asked:
        if name not in names:
            raise UserError(f"{told}: there is no disease {name!r}, only {', '.join(names)}")
    weights = dict.fromkeys(names, 1.0) | asked
    if not any(weights.values()):
        raise UserError(f"{told}: nothing is left to train: give one of {', '.join(names)} more")
    return weights


def _parsed(text: str) -> dict[str, float]:
    """Weights by the diseases' names."""
    weights: dict[str, float] = {}
    for item in text.split(",") if text.strip() else ():
        name, _, number = (piece.strip() for piece in item.rpartition("="))
        weight = _number(number)
        if not name or weight is None or name in weights:
            raise PydanticCustomError("head_weights", _SPELLING)
        weights[name] = weight
    return weights


def _number(text: str) -> float | None:
    """A finite number of 0 or more; None: it is none."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None
