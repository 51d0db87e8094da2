"""Everything that explains the test images of one trial, as the task scores it."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from architectures.network import Network
from benchmark.common.progress import Display
from benchmark.data.pipeline import Samples, plain_batches
from benchmark.explain.base import Explainer
from benchmark.explain.faithfulness import curves
from benchmark.explain.predictions import first_by_hash
from benchmark.explain.randomisation import cascade
from benchmark.metrics.maps import finite
from benchmark.training.loop import PREDICTION_BATCH
from tasks.given import Explanations, Probes

# Sets the seeds of randomised weights apart from those of runs.
_RANDOMISATION = 1810_03292


def explain(
    network: Network,
    untrained: Network,
    explainer: Explainer,
    test: Samples,
    ids: Sequence[str],
    probabilities: np.ndarray,
    probed: int,
    seed: int,
    display: Display,
) -> Explanations:
    """The maps of every test image and the probes of some.

    Args:
        network: trained.
        untrained: the same architecture with random weights.
        explainer: what makes the maps; those of dermxdb-2023 are Grad-CAM's whatever it is.
        test: the test images.
        ids: their N names, in the same order.
        probabilities: (N, K), what the network says of them.
        probed: on how many images, at most, the explanations are tested.
        seed: of the run.
        display: where progress goes.
    """
    labels, predicted = test.labels, probabilities.argmax(axis=1)
    parts: dict[str, list[np.ndarray]] = defaultdict(list)
    seen = 0
    batches = -(-len(test) // PREDICTION_BATCH)
    for images in display.track(plain_batches(test, PREDICTION_BATCH), explainer.name, batches):
        here = slice(seen, seen + len(images))
        seen += len(images)
        true, said = labels[here], predicted[here]
        if explainer.every_class:
            every, published = explainer.beside_published(network, images, None, said)
            rows = np.arange(len(images))
            parts["every"].append(every)
            parts["true"].append(every[rows, true])
            parts["predicted"].append(every[rows, said])
        else:
            maps, published = explainer.beside_published(network, images, true, said)
            parts["true"].append(maps)
            # Where the network is right one map serves both.
            other = np.flatnonzero(true != said)
            again = maps.copy()
            if len(other):
                again[other] = explainer.maps(network, images[other], said[other])
            parts["predicted"].append(again)
        parts["published"].append(published)
        floor, published = explainer.beside_published(untrained, images, true, said)
        parts["untrained"].append(floor)
        parts["untrained_published"].append(published)
    whole = {name: np.concatenate(found) for name, found in parts.items()}
    return Explanations(
        explainer=explainer.name,
        probes=_probes(network, explainer, test, ids, whole["true"], probed, seed, display),
        **whole,
    )


def _probes(
    network: Network,
    explainer: Explainer,
    test: Samples,
    ids: Sequence[str],
    maps: np.ndarray,
    probed: int,
    seed: int,
    display: Display,
) -> Probes:
    """Insertion, deletion and randomisation on the images that come first by the hash of their id.

    That choice (ours) depends on neither their order nor the network.
    """
    chosen = np.array(first_by_hash(ids, probed))
    some = Samples(test.pixels, test.rows[chosen], test.labels[chosen])
    batches = -(-len(some) // PREDICTION_BATCH)

    def explained(net: Network) -> np.ndarray:
        stream = display.track(plain_batches(some, PREDICTION_BATCH), "randomising", batches)
        starts = range(0, len(some), PREDICTION_BATCH)
        return np.concatenate(
            [
                explainer.maps(net, images, some.labels[start : start + len(images)])
                for start, images in zip(starts, stream, strict=True)
            ]
        )

    each = [
        curves(network, image, some.labels[i : i + 1], finite(maps[chosen[i : i + 1]]))
        for i, image in enumerate(
            display.track(plain_batches(some, 1), "insertion and deletion", len(some))
        )
    ]
    steps = cascade(network, explained, _stranger(seed))
    return Probes(
        ids=tuple(ids[i] for i in chosen),
        shares=each[0].shares,
        insertion=np.concatenate([one.insertion for one in each]),
        deletion=np.concatenate([one.deletion for one in each]),
        stages=steps.stages,
        similarity=steps.similarity,
    )


def _stranger(seed: int) -> int:
    """A seed that no run has by counting: trained weights resemble those they began with."""
    return int(np.random.SeedSequence((seed, _RANDOMISATION)).generate_state(1)[0]) >> 1
