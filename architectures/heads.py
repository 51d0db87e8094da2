"""What a network's head is made of, whatever its framework."""

from architectures.architecture import Architecture
from benchmark.errors import UserError, unknown_name

HEADS = ("plain", "paper", "cosine")

HEAD_DROPOUT = 0.2
"""Rate of the "dropout" in the paper's heads."""

COSINE_SCALE = 30.0
"""What the "cosine" head multiplies cosines with: s of LDAM (Cao et al., arXiv 1906.07413)."""

COSINE_FLOOR = 1e-12
"""Least squared norm of a vector that the "cosine" head divides by its norm (ours): zeros give a
cosine of 0, and no gradient grows by more than 1e6."""


def parts(head: str, architecture: Architecture) -> tuple[str, ...]:
    """The parts between the last map and the logits, of one of `HEADS`.

    Raises:
        UserError: another name.
    """
    if head not in HEADS:
        raise unknown_name("head", head, HEADS)
    return {
        "plain": ("pool", "dense"),
        "paper": architecture.settings.head,
        "cosine": ("pool", "cosine"),
    }[head]


def last_layers(head: tuple[str, ...], sizes: tuple[int, ...]) -> tuple[str, ...]:
    """Names of the head's last layers, one for each thing that it says.

    Raises:
        UserError: several things, and the last part is no dense layer.
    """
    name = f"{head[-1]}_{len(head) - 1}"
    if len(sizes) == 1:
        return (name,)
    if head[-1] != "dense":
        raise UserError(f"a {head[-1]} head says one thing only: use a plain or paper head")
    return tuple(f"{name}_{number}" for number in range(len(sizes)))
