"""CReST and CReST+: FixMatch in generations, each with pseudo-labels that the one before it gave.

What is the paper's, its code's and ours stands in the classes' docstrings; `crest` has the rules.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

import numpy as np
from pydantic import Field

from benchmark import config
from benchmark.methods import crest
from benchmark.methods.base import Context, Method, Picks, Stage, Tensor, Trainee
from benchmark.methods.fixmatch import FixMatch, FixMatchOptions, fixmatch_stage
from benchmark.recipe import Recipe

# Batches over which the predictions are averaged (CReST's code), and what it adds to both sides of
# the ratio.
_REMEMBERED, _LEAST = 128, 1e-6
_SEEN = "seen"


class GenerationOptions(config.Options):
    """Of self-training in generations."""

    generations: int = Field(
        3,
        ge=1,
        description="trainings from the first weights, fewer where there are fewer epochs (ours;"
        " CReST's README 6)",
    )
    alpha: float = Field(
        1 / 3,
        ge=0,
        description="power of the sampling rates, 0 keeps every pseudo-label (CReST: 1/3)",
    )


class CrestOptions(FixMatchOptions, GenerationOptions):
    """Of the generations and of FixMatch within each."""


class Crest(Method):
    """Generations of FixMatch, each on the labelled images and chosen pseudo-labels.

    The paper (Wei et al., CVPR 2021, arXiv 2102.09559) and its code (google-research/crest): every
    generation starts from the first weights and trains FixMatch on the original labelled images and
    the picks of the generation before it, which are not accumulated; the average of the weights
    labels the unlabelled images in inference mode, unaugmented; of each class the surest share of
    its pseudo-labels is picked, whatever their confidence, the more of it the rarer the class is
    among the labelled images; alpha 1/3.

    Ours: 3 generations for their 6; the run's epochs are shared among them, the later ones getting
    what does not divide, and the warm-up in proportion, so that all methods take as many steps; a
    generation leaves its best epoch by validation; class ranks by count, where their data come in
    that order; what is FixMatch's, see there. Without unlabelled images it is FixMatch.
    """

    name = "crest"
    summary = "fixmatch in generations that keep more pseudo-labels of rare classes"
    paper = "Wei et al., CReST, CVPR 2021, arXiv 2102.09559; code google-research/crest"
    Options = CrestOptions
    settings: ClassVar[dict[str, str]] = FixMatch.settings | {
        "picks": "of each class the surest share of its pseudo-labels, (count of the opposite rank"
        " / largest count)^alpha, no threshold; the original labelled images always with them, the"
        " picks not accumulated (paper)",
        "generations": "each from the first weights (paper); the run's epochs are shared among"
        " them, each leaves its best epoch by validation (ours)",
    }

    def stages(self, context: Context) -> Iterator[Stage]:
        """One stage for each generation; the network is surveyed between two."""
        recipes = generation_recipes(context, self.options.generations)
        picks = None
        for number, recipe in enumerate(recipes):
            shared = replace(context, recipe=recipe)
            yield replace(self._generation(shared, picks, number, len(recipes)), new_network=True)
            if number + 1 < len(recipes):
                assert context.survey is not None
                rates = crest.sampling_rates(context.class_counts(), self.options.alpha)
                picks = crest.picks(context.survey.unlabelled(), rates)

    def _generation(self, context: Context, picks: Picks | None, number: int, count: int) -> Stage:
        """Generation `number` of `count`, from 0."""
        return fixmatch_stage(context, self.options, name=f"generation-{number + 1}", picks=picks)


class CrestPlusOptions(CrestOptions):
    """As CReST's, and of the alignment."""

    least_power: float = Field(
        0.5, ge=0, le=1, description="t_min, the power of the target in the last generation (paper)"
    )


class CrestPlus(Crest):
    """CReST with progressive distribution alignment of FixMatch's pseudo-labels.

    The paper and its code: the weak view's probabilities are multiplied by target / average and
    made to sum to 1 again, before the threshold and the hard label; the target is the class shares
    to the power t, which falls from 1 in the first generation to t_min in the last, so that the
    target flattens; the average is that of the last 128 batches' mean probabilities of the weak
    views, uniform before the first and updated after the step. The pseudo-labels that a generation
    leaves to the next are not aligned.

    Ours: the class shares are those of the labelled images (as in Microsoft's USB; the authors'
    code takes the shares that its data were cut to). They are wrong where the unlabelled images
    have others. What else is ours, see CReST.

    Until 128 batches have come, the average is partly the uniform one, and the alignment favours
    frequent classes. Of the paper's 65,536 steps a generation that is little; a generation of fewer
    than a few hundred steps may lose its rare classes to it.
    """

    name = "crest+"
    summary = "crest with pseudo-labels aligned to a class distribution that flattens"
    Options = CrestPlusOptions
    settings: ClassVar[dict[str, str]] = Crest.settings | {
        "alignment": "weak view's probabilities times target / average, over the last"
        f" {_REMEMBERED} batches, then threshold and label (authors' code)",
        "target": "class shares of the labelled images (ours, as in USB), to a power falling"
        " linearly from 1 to least_power over the generations (paper)",
    }

    def _generation(self, context: Context, picks: Picks | None, number: int, count: int) -> Stage:
        power = crest.alignment_power(number, count, self.options.least_power)
        target = crest.alignment_target(context.class_counts(), power)
        name = f"generation-{number + 1}"

        def align(network: Trainee, logits: Tensor) -> Tensor:
            return aligned(network, logits, target)

        stage = fixmatch_stage(context, self.options, name=name, picks=picks, align=align)
        uniform = np.full((_REMEMBERED, len(target)), 1 / len(target), np.float32)
        return replace(stage, memory={_SEEN: uniform})


def generation_recipes(context: Context, generations: int) -> list[Recipe]:
    """A recipe for each generation; their epochs sum to the run's (ours).

    There are as many as asked for, but no more than epochs, and one where nothing is unlabelled.
    The later ones get the epochs that do not divide, as the last one's network is kept. The warm-up
    is the run's share of the epochs.
    """
    recipe = context.recipe
    count = min(generations, recipe.epochs) if context.unlabelled else 1
    epochs = [(recipe.epochs + number) // count for number in range(count)]
    return [recipe.stretch(each) for each in epochs]


def aligned(network: Trainee, logits: Tensor, target: np.ndarray) -> Tensor:
    """Logits (M, K) whose softmax is theirs times target / average, made to sum to 1.

    The average is over the batch means in memory; this batch's joins them for the next step, and
    the oldest leaves.

    Args:
        network: with a memory "seen" of batch means, (B, K), the oldest first.
        logits: of the weak views.
        target: (K,) shares.
    """
    from keras import ops

    # float32: in less, small shares vanish.
    logits = ops.cast(logits, "float32")
    seen = network.memory[_SEEN]
    ratio = (ops.cast(target, "float32") + _LEAST) / (ops.mean(seen, axis=0) + _LEAST)
    batch = ops.mean(ops.softmax(logits, axis=-1), axis=0, keepdims=True)
    network.remember(_SEEN, ops.concatenate([seen[1:], batch]))
    return logits + ops.log(ratio)
