"""Methods that look at what they must not are caught, by what they predict."""

import gc
import time

import numpy as np
import pytest

from benchmark.audit import audit
from benchmark.cli import main
from benchmark.data.dataset import Dataset
from benchmark.errors import UserError
from benchmark.methods.base import Method, Stage, on_logits
from benchmark.registry import METHODS

pytestmark = pytest.mark.usefixtures("registered")


class Cheat(Method):
    """Its loss is shifted by what `secret` gives, so that whatever it knows shows."""

    summary = "a cheat"
    paper = "none"

    def stages(self, context):
        from keras import ops

        from benchmark.methods import losses

        shift = np.asarray(self.secret(), np.float32)

        def loss(logits, labels):
            return losses.cross_entropy(logits + ops.convert_to_tensor(shift), labels)

        yield Stage("train", on_logits(loss), context.recipe)


def _dataset():
    """No method is given it; it is somewhere in memory all the same."""
    found = [each for each in gc.get_objects() if type(each) is Dataset]
    return max(found, key=lambda each: each.root.stat().st_mtime_ns)


class ReadsTestLabels(Cheat):
    name = "reads-test-labels"

    def secret(self):
        table = _dataset().table
        test = table[table["split"] == "test"].sort_index()
        return np.bincount(test["label"][:4], minlength=3)


class ReadsTestImages(Cheat):
    name = "reads-test-images"

    def secret(self):
        dataset = _dataset()
        test = dataset.table.index[dataset.table["split"] == "test"]
        return np.mean([dataset.image(sample).mean((0, 1)) for sample in test], axis=0) / 50


class ThrowsDice(Cheat):
    name = "throws-dice"

    def secret(self):
        return np.random.default_rng(time.time_ns()).normal(size=3)


class HasNoStage(Cheat):
    name = "has-no-stage"

    def stages(self, context):
        return iter(())


class ForgetsTheMean(Cheat):
    name = "forgets-the-mean"

    def stages(self, context):
        yield Stage("train", on_logits(lambda logits, labels: logits[:, 0]), context.recipe)


@pytest.fixture
def registered(monkeypatch):
    methods = (ReadsTestLabels, ReadsTestImages, ThrowsDice, HasNoStage, ForgetsTheMean)
    added = {each.name: each for each in methods}
    monkeypatch.setattr(METHODS, "_loaded", {**METHODS._loaded, **added})


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("reads-test-labels", "the labels of test images"),
        pytest.param("reads-test-images", "the other test images", marks=pytest.mark.slow),
        pytest.param("throws-dice", "chance, but for the seed", marks=pytest.mark.slow),
    ],
)
def test_a_method_that_breaks_a_rule_is_caught_at_it(framework, name, what):
    with pytest.raises(UserError, match=f"{name} heeds what it must not, {what}"):
        audit(name, framework)


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("has-no-stage", "has no stage, so nothing is trained"),
        (
            "forgets-the-mean",
            r"^stage train: the loss has the shape \(\d+,\): let it return a scalar",
        ),
    ],
)
def test_a_method_that_cannot_be_trained_is_told_why(framework, name, what):
    with pytest.raises(UserError, match=what):
        audit(name, framework)


def test_an_honest_method_keeps_every_rule(framework, capsys):
    assert main(["audit", "balanced-softmax", "--framework", framework]) == 0
    told = capsys.readouterr().out
    assert told.count("does not depend on") == 3


@pytest.mark.slow
def test_one_that_judges_by_the_batch_and_says_so_is_not_asked_whether_it_does(framework):
    assert "the other test images" not in audit("supercon-as-released", framework)


@pytest.mark.parametrize("name", ["sall", "checkpoint"])
def test_what_cannot_be_audited_is_refused(framework, name):
    with pytest.raises(UserError, match="only methods that learn one class per image"):
        audit(name, framework)
