"""Logit adjustment: the class prior is taken out, after training or within its loss."""

from collections.abc import Iterator
from functools import partial
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from benchmark import config
from benchmark.methods import rates
from benchmark.methods.base import Adjustment, Context, LogitScaling, Method, Stage, on_logits


class LogitAdjustment(Method):
    """Cross-entropy, then logits - tau log prior; or the loss on logits + tau log prior."""

    name = "logit-adjustment"
    summary = "the class prior taken out of the logits, post-hoc or in training"
    paper = "Menon et al., ICLR 2021, arXiv 2007.07314"
    settings: ClassVar[dict[str, str]] = {
        "epoch": "post-hoc: the best by validation before the adjustment (ours)"
    }

    class Options(config.Options):
        """When, and how much of the prior."""

        when: Literal["post-hoc", "training"] = Field(
            "post-hoc",
            description="post-hoc or training; both are the paper's. The default is ours: training"
            " with tau 1 is balanced-softmax",
        )
        tau: float = Field(1.0, ge=0, description="the paper's, without tuning")

    def stages(self, context: Context) -> Iterator[Stage | Adjustment]:
        """A stage over the whole recipe; post-hoc, then the change of the classifier's bias."""
        from benchmark.methods import losses

        counts, tau = context.class_counts(), self.options.tau
        within = tau if self.options.when == "training" else 0.0

        loss = partial(losses.logit_adjusted, counts=counts, tau=within)

        def shifted(kernel: np.ndarray, bias: np.ndarray) -> list[LogitScaling]:
            shift = -tau * rates.log_prior(counts)
            return [LogitScaling(f"tau {tau:g}", np.ones_like(shift), shift)]

        yield Stage("train", on_logits(loss), context.recipe)
        if self.options.when == "post-hoc":
            yield Adjustment("adjust", shifted)
