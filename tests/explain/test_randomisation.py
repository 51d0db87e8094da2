"""Cascading randomisation: known answers from a network of four numbers, and a real network."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import spearmanr

import architectures
from benchmark.explain.randomisation import cascade, rank_correlation

SHAPE = (3, 4, 5)


class Fake:
    """Input layer, eight layers of one, two, one, ... weights, and a head of four."""

    SIZES = (1, 2, 1, 2, 1, 2, 1, 2)

    def __init__(self):
        self.values = {"input/mean": np.array([7.0])}
        self.values |= {f"layer{i}/kernel": np.ones(n) for i, n in enumerate(self.SIZES)}
        self.values["head/kernel"] = np.ones(4)
        self.seeds = []

    def base_slots(self):
        slots = [(SimpleNamespace(kind="normalization"), [SimpleNamespace(name="input/mean")])]
        for i in range(len(self.SIZES)):
            row = SimpleNamespace(kind="conv")
            slots.append((row, [SimpleNamespace(name=f"layer{i}/kernel")]))
        return slots

    def head_slots(self):
        return [SimpleNamespace(name="head/kernel")]

    def tensors(self):
        return {name: array.copy() for name, array in self.values.items()}

    def assign(self, tensors):
        assert set(tensors) == set(self.values)
        self.values = dict(tensors)

    def initialise(self, seed):
        self.seeds.append(seed)
        self.values = {name: 0 * array for name, array in self.values.items()}


def changed(network):
    return [name for name, array in network.values.items() if not array.all()]


def some_maps(seed=0):
    return np.random.default_rng(seed).random(SHAPE)


def test_the_head_goes_first_then_the_layers_from_the_last_and_never_the_input():
    network, seen = Fake(), []
    found = cascade(network, lambda net: seen.append(changed(net)) or some_maps(), seed=5)
    assert found.stages == ("head", "last quarter", "last half", "last three quarters", "all")
    assert seen[0] == []
    for stage, first in enumerate((8, 6, 4, 2, 0)):
        expected = [f"layer{i}/kernel" for i in range(first, 8)] + ["head/kernel"]
        assert seen[1 + stage] == expected
    np.testing.assert_allclose(found.shares, np.array([4, 7, 10, 13, 16]) / 16)
    assert network.seeds == [5]


def test_maps_that_ignore_the_network_stay_the_same():
    found = cascade(Fake(), lambda network: some_maps(), seed=0)
    np.testing.assert_allclose(found.similarity, 1)
    assert found.similarity.shape == (5, SHAPE[0])


def test_maps_that_hang_on_one_layer_change_where_it_does():
    def explain(network):
        sign = 1 if network.values["layer4/kernel"].all() else -1
        return sign * some_maps()

    found = cascade(Fake(), explain, seed=0)
    np.testing.assert_allclose(found.similarity.mean(1), [1, 1, -1, -1, -1])


def test_a_map_that_randomising_empties_is_undefined():
    def explain(network):
        maps = some_maps()
        maps[1] *= network.values["head/kernel"].all()
        return maps

    found = cascade(Fake(), explain, seed=0)
    assert np.isnan(found.similarity[:, 1]).all()
    np.testing.assert_allclose(found.similarity[:, [0, 2]], 1)


@pytest.mark.parametrize("fails_at", [1, 2, 4])
def test_the_network_is_restored_whatever_happens(fails_at):
    network, calls = Fake(), []
    before = network.tensors()

    def explain(net):
        calls.append(net)
        if len(calls) == fails_at:
            raise KeyboardInterrupt
        return some_maps()

    with pytest.raises(KeyboardInterrupt):
        cascade(network, explain, seed=0)
    assert network.values.keys() == before.keys()
    for name, array in before.items():
        np.testing.assert_array_equal(network.values[name], array)


def test_rank_correlation_is_spearmans_with_ties():
    first, second = np.round(some_maps(1), 1), np.round(some_maps(2), 1)
    first[0, :2] = 0  # as Grad-CAM's maps are
    expected = [spearmanr(a.ravel(), b.ravel()).statistic for a, b in zip(first, second)]  # noqa: B905
    np.testing.assert_allclose(rank_correlation(first, second), expected, rtol=1e-12)
    np.testing.assert_allclose(rank_correlation(first, np.exp(first)), 1)
    np.testing.assert_allclose(rank_correlation(first, -first), -1)


def test_rank_correlation_is_undefined_for_constant_maps_and_those_with_gaps():
    maps = some_maps()
    gap = some_maps()
    gap[0, 0, 0] = np.nan
    assert np.isnan(rank_correlation(maps, np.ones(SHAPE))).all()
    np.testing.assert_array_equal(np.isnan(rank_correlation(maps, gap)), [True, False, False])


@pytest.mark.parametrize("shape", [(4, 5), (2, 4, 5)])
def test_maps_that_are_not_alike_are_refused(shape):
    with pytest.raises(ValueError, match="alike"):
        rank_correlation(some_maps(), np.ones(shape))


def planted(network):
    """Weights under which MobileNetV2's last map and its class weights are far from a new one's.

    Drawn with the variance that keeps activations alive, and a head that votes for class 1 by the
    first half of the channels.
    """
    generator = np.random.default_rng(7)
    tensors = network.tensors()
    for name, array in tensors.items():
        if name.endswith("kernel"):
            fan = 9 if name.endswith("depthwise_kernel") else np.prod(array.shape[:-1])
            array[...] = generator.standard_normal(array.shape) * np.sqrt(2 / fan)
    votes = tensors["head/dense_1/kernel"]
    votes[:] = 0
    votes[: len(votes) // 2, 1] = 1
    network.assign(tensors)
    return network.tensors()


def test_grad_cam_of_a_real_network_hangs_on_its_weights(framework):
    pytest.importorskip({"torch": "timm", "keras": "tensorflow"}[framework])
    network = architectures.build("MobileNetV2", framework, 3, image_size=96)
    before = planted(network)
    images = np.random.default_rng(1).integers(0, 256, (6, 6, 6, 3)).astype(np.uint8)
    images = images.repeat(16, 1).repeat(16, 2)
    targets = np.ones(len(images), int)
    found = cascade(network, lambda net: net.gradcam(images, targets), seed=2)
    again = cascade(network, lambda net: net.gradcam(images, targets), seed=2)
    np.testing.assert_array_equal(found.similarity, again.similarity)
    assert found.shares[0] < 0.01
    assert found.shares[-1] == 1
    assert np.isfinite(found.similarity[-1]).sum() >= 3
    assert np.nanmean(found.similarity[-1]) < 0.5
    for name, array in network.tensors().items():
        np.testing.assert_array_equal(array, before[name])
