"""What the reader of a run must know, told from what its trials came to."""

from collections.abc import Sequence

import numpy as np

from benchmark.common.wording import counted
from benchmark.running.trial import TrialResult
from benchmark.training.loop import StageLog

# Of a class's largest probability. The same logits in batches of other sizes differ by a few units
# in the last place of float32 (1.2e-7): 2e-7 was seen. Relative, for the ranks of a saturated
# network lie in probabilities that are far smaller than 1e-6 themselves.
_ROUNDING = 1e-6


def divided_notes(results: Sequence[TrialResult]) -> tuple[str, ...]:
    """What a reader must know where memory did not suffice for whole batches."""
    logs = [log for result in results for log in result.logs if isinstance(log, StageLog)]
    most = max((log.micro_batches for log in logs), default=1)
    if most == 1:
        return ()
    return (
        f"memory did not suffice: batches were divided into up to {most} micro-batches, each"
        " normalised by its own statistics (BatchNorm); losses and steps are of whole batches",
    )


def undecided_notes(results: Sequence[TrialResult], epochs: int) -> tuple[str, ...]:
    """What a reader must know where a network answers all test images alike.

    Args:
        results: of every trial.
        epochs: of the run; 0 where nothing was trained.
    """
    alike = [r.trial.name for r in results if same_answer(r.outputs.probabilities)]
    if not alike:
        return ()
    whose = f"{', '.join(alike)}: " if len(results) > 1 else ""
    advice = f": train for more than {counted(epochs, 'epoch')} (--budget, --epochs)"
    return (
        f"{whose}every test image got the same answer, so nothing can be told apart"
        f"{advice if epochs else ''}",
    )


def same_answer(probabilities: np.ndarray) -> bool:
    """Whether several rows of (N, K) probabilities differ by rounding alone."""
    spread, most = np.ptp(probabilities, axis=0), probabilities.max(axis=0)
    return len(probabilities) > 1 and bool((spread <= _ROUNDING * most).all())
