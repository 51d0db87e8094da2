"""tau-normalisation: the classifier's weight vectors brought nearer to one length."""

from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from benchmark.methods.base import Adjustment, Context, LogitScaling, Method, Stage, on_logits

# Kang et al. try tau in [0, 1]; the step is ours.
_TAUS = tuple(round(0.1 * step, 1) for step in range(11))


class TauNorm(Method):
    """Cross-entropy, then w_c / |w_c|^tau without bias; tau by validation score."""

    name = "tau-norm"
    summary = "weight vectors of the classifier normalised after training"
    paper = "Kang et al., ICLR 2020, arXiv 1910.09217"
    settings: ClassVar[dict[str, str]] = {
        "tau": f"{_TAUS[0]:g} to {_TAUS[-1]:g} by tenths (range: paper; step: ours), by the task's"
        " validation score; a tie keeps the smaller",
        "bias": "dropped (paper)",
        "epoch": "the best by validation before the normalisation (ours)",
    }

    def stages(self, context: Context) -> Iterator[Stage | Adjustment]:
        """The whole recipe, then the change of the classifier."""
        from benchmark.methods import losses

        yield Stage("train", on_logits(losses.cross_entropy), context.recipe)
        yield Adjustment("normalise", normalised)


def normalised(kernel: np.ndarray, bias: np.ndarray) -> list[LogitScaling]:
    """A candidate for each tau: kernel (D, K), bias (K,)."""
    lengths = np.linalg.norm(kernel, axis=0)
    scales = [(tau, lengths**-tau) for tau in _TAUS]
    return [LogitScaling(f"tau {tau:g}", scale, -bias * scale) for tau, scale in scales]
