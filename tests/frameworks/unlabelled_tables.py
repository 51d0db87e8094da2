"""A network that is a table of numbers, for the losses of methods that look at unlabelled images.

An image is the number of a row. Batches are of five labelled images and views of four others.
"""

from dataclasses import dataclass, field
from typing import Any

import loss_references as reference
import numpy as np

from architectures.network import Forward
from benchmark.methods.base import Batch, Context
from benchmark.recipe import Augmentation, Recipe
from benchmark.registry import METHODS
from benchmark.training.frameworks import select_backend

COUNTS = (14, 6, 4)
LABELS = np.array([0, 2, 1, 0, 2])
FEATURES = 6
EPOCHS = 10
RECIPE = Recipe(
    epochs=EPOCHS,
    batch_size=5,
    optimiser="sgd",
    learning_rate=0.02,
    schedule="cosine",
    augmentation=Augmentation(rotation=30, horizontal_flip=True),
)
# Which rows of the tables a batch shows: five labelled images, then views of four others.
LABELLED = np.arange(5)
VIEWS = [np.arange(start, start + 4) for start in (5, 9, 13)]
RNG = np.random.default_rng(0)
STUDENT = {"features": RNG.normal(size=(17, FEATURES)), "logits": RNG.normal(size=(17, 3)) * 2}
TEACHER = {"features": RNG.normal(size=(17, FEATURES)), "logits": RNG.normal(size=(17, 3)) * 2}
# Of the student's logits: sure of one view, torn about another.
STUDENT["logits"][[6, 10]] = [[5.0, 0.0, -1.0], [0.2, 0.1, 4.5]]
# N / n_c of SRC-MT.
WEIGHTS = 24 / np.array(COUNTS)


@dataclass
class Tables:
    """A `Trainee` for whom an image is the number of a row: what it and its teacher say of it."""

    student: dict[str, Any]
    teacher: dict[str, Any]
    parameters: dict[str, Any] = field(default_factory=dict)
    passes: list[list[int]] = field(default_factory=list)
    lessons: list[list[int]] = field(default_factory=list)

    def __call__(self, images):
        return self._look_up(images, self.student, self.passes)

    def taught(self, images):
        return self._look_up(images, self.teacher, self.lessons)

    def _look_up(self, images, table, seen):
        from keras import ops

        rows = ops.cast(images[:, 0, 0, 0], "int32")
        seen.append(ops.convert_to_numpy(rows).tolist())
        return Forward(*(ops.take(table[name], rows, axis=0) for name in ("features", "logits")))


def context_of(counts=COUNTS, features=FEATURES, **recipe):
    """With changes of the recipe."""
    labels = np.repeat(np.arange(len(counts)), counts)
    names = tuple(f"class {label}" for label in range(len(counts)))
    return Context(labels, names, RECIPE.model_copy(update=recipe), features, seed=3)


def stages(name, options=None, context=None):
    """All of a method's."""
    method = METHODS.get(name)
    return list(method(method.Options(**(options or {}))).stages(context or context_of()))


def images(rows):
    """(N, 1, 1, 3) uint8 of N numbers of rows."""
    from keras import ops

    return ops.convert_to_tensor(np.tile(rows[:, None, None, None], (1, 1, 1, 3)).astype(np.uint8))


def tensors(values):
    """Arrays as float64 tensors of the framework."""
    from keras import ops

    return {name: ops.convert_to_tensor(np.asarray(v, np.float64)) for name, v in values.items()}


def batch(stage, epoch, labels=LABELS, labelled=LABELLED, views=VIEWS):
    """As many views as the stage asks for, each as the numbers of its rows."""
    from keras import ops

    drawn = stage.inputs(epoch, len(labels), np.random.default_rng(0)) if stage.inputs else {}
    shown = tuple(images(rows) for rows in views[: len(stage.unlabelled_views)])
    return Batch((images(labelled),), ops.convert_to_tensor(labels), tensors(drawn), shown)


def tables(stage, student=STUDENT, teacher=TEACHER):
    """The network that the stage trains."""
    return Tables(tensors(student), tensors(teacher), tensors(stage.parameters))


def loss(framework, stage, epoch=0, **rows):
    """The stage's loss of `batch`, in float64."""
    select_backend(framework)
    from keras import ops

    found = stage.loss(tables(stage, **rows), batch(stage, epoch))
    return float(ops.convert_to_numpy(found))


def gradient(framework, stage, side, name, epoch=EPOCHS - 1):
    """Of the loss, with respect to the features or logits of the student or of the teacher."""
    select_backend(framework)

    def loss(at):
        network = tables(stage)
        # Times one, or TensorFlow's gradient is not a tensor but a list of rows.
        getattr(network, side)[name] = at * 1.0
        return stage.loss(network, batch(stage, epoch))

    return reference.gradient(framework, loss, {"student": STUDENT, "teacher": TEACHER}[side][name])


def supervised(student, weights=None):
    """Cross-entropy of the labelled rows, in numpy."""
    logits = student["logits"][LABELLED]
    return reference.cross_entropy(logits, LABELS, weights, normalised=weights is not None)
