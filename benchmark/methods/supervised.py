"""Training on the labelled images alone, under the name that semi-supervised learning gives it."""

from typing import ClassVar

from benchmark.methods.cross_entropy import CrossEntropy


class Supervised(CrossEntropy):
    """Cross-entropy of the labelled part; at 100 % of the labels it is the line to be reached.

    No class weights in any budget, as its peers have none: they learn from this loss and more.
    """

    name = "supervised"
    summary = "cross-entropy of the labelled images alone, what the others are compared with"
    paper = "textbook"
    settings: ClassVar[dict[str, str]] = {}
    takes_class_weights = False
