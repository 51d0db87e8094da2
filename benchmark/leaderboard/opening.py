"""What a board says before anything else: what all of its networks lack."""

from collections.abc import Iterable

from benchmark.records.index import Head
from benchmark.records.record import UNVERIFIED

_SCRATCH = (
    "Every run here started from random weights: none has learned from ImageNet. Expect lower"
    " scores than those of pre-trained networks in the literature, and perhaps another order."
)
_SUBMITTED = " What submissions started from is what their authors say of them."


def opening(heads: Iterable[Head]) -> str:
    """The first lines of a board of these records, "" where there is nothing that must be said.

    What a submission started from is not known; it says nothing of the runs.
    """
    kinds = {head.weights for head in heads}
    if kinds - set(UNVERIFIED) != {"none"}:
        return ""
    return _SCRATCH if kinds == {"none"} else _SCRATCH + _SUBMITTED
