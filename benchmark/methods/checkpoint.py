"""No training: a network that was trained elsewhere is scored here."""

from collections.abc import Iterator
from typing import ClassVar

from benchmark.methods.base import Context, Method, Stage


class Checkpoint(Method):
    """No stage at all: the weights come from --weights, a file with a head for the classes."""

    name = "checkpoint"
    summary = "no training: score the network of --weights FILE or run:ID as it is, head included"
    paper = "none; for networks trained elsewhere, with the DermXDB benchmark's code for instance"
    settings: ClassVar[dict[str, str]] = {
        "files": ".safetensors of this suite; .h5, .weights.h5 or .keras of Keras 2 or 3",
        "head": "one pooling and one dense layer; with --budget paper the DermXDB benchmark's; the"
        " normalised classifier of ldam-drw where the file is of this suite and has it; for task"
        " grading a dense layer for each disease, in a file of this suite (one of a single disease"
        " is for task diagnosis)",
        "image size": "that of --image-size, else of the budget; the file's must be the same",
        "classes": "in the order of the data set's, which `data stats` prints and no file tells."
        " The DermXDB authors' networks before fine-tuning end in vitiligo, wart; their data set"
        " and fine-tuned networks in Viral warts, Vitiligo",
        "seed": "none: nothing is drawn",
    }
    trains = False
    caveat = (
        "trained elsewhere: whether it saw these test images, and whether its classes (and"
        " diseases) are in this order, is not known"
    )

    def stages(self, context: Context) -> Iterator[Stage]:
        """None."""
        yield from ()
