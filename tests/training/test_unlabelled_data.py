"""What a stage is shown of labelled images, of those without labels, and of picks."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from benchmark.common.progress import SilentDisplay
from benchmark.data.pipeline import Samples
from benchmark.methods.base import Picks, Stage, Teacher
from benchmark.recipe import Augmentation, Recipe
from benchmark.training import loop

RECIPE = Recipe(epochs=1, batch_size=4, optimiser="sgd", learning_rate=0.1, schedule="constant")
STAGE = Stage("train", lambda network, batch: None, RECIPE, choose=False)


class Watcher:
    """An engine that keeps the batches it is given."""

    micro_batches = 1

    def __init__(self):
        self.batches = []

    def train_step(self, batch, learning_rate, keeps):
        self.batches.append((batch, keeps))
        return np.float32(0)

    def tensors(self):
        return {"weight": np.zeros(1, np.float32)}

    optimiser_state = tensors

    def begin(self, stage):
        pass

    assign = begin

    def end(self):
        pass


class Sealed:
    """Labels that must not be looked at."""

    def __getattr__(self, name):
        raise AssertionError("a hidden label was read")

    __len__ = __iter__ = __getitem__ = __array__ = None


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(0).integers(0, 256, (12, 8, 8, 3)).astype(np.uint8)


@pytest.fixture
def labelled(pixels):
    return Samples(pixels, np.arange(2), np.array([0, 1]))


@pytest.fixture
def unlabelled(pixels):
    return Samples(pixels, np.arange(2, 12), Sealed())


def _shown(stage, train, unlabelled, tmp_path, seed=0):
    engine = Watcher()
    loop.train_stage(
        engine,
        stage,
        train,
        train,
        lambda labels, found: 0.5,
        seed,
        tmp_path / f"{len(list(tmp_path.iterdir()))}",
        SilentDisplay(),
        unlabelled=unlabelled,
    )
    return engine.batches


def test_an_epoch_shows_every_image_once_and_each_label_as_often(labelled, unlabelled, tmp_path):
    stage = replace(STAGE, unlabelled_views=(Augmentation(), Augmentation()))
    batches = [batch for batch, _ in _shown(stage, labelled, unlabelled, tmp_path)]
    for view in (0, 1):
        shown = np.concatenate([batch.unlabelled[view] for batch in batches])
        assert sorted(map(bytes, shown)) == sorted(map(bytes, labelled.pixels))
    assert np.bincount(np.concatenate([batch.labels for batch in batches])).tolist() == [6, 6]
    assert {len(batch.images) for batch in batches} == {4}


def test_a_ratio_shows_that_many_times_as_many(labelled, unlabelled, tmp_path):
    stage = replace(STAGE, unlabelled_views=(Augmentation(),), unlabelled_ratio=2)
    batches = [batch for batch, _ in _shown(stage, labelled, unlabelled, tmp_path)]
    shown = [bytes(image) for batch in batches for image in batch.unlabelled[0]]
    assert [len(batch.unlabelled[0]) for batch in batches] == [8, 8, 8]
    assert all(shown.count(bytes(image)) == 2 for image in labelled.pixels)


class Counted:
    """Pixels that keep which of their rows were read."""

    def __init__(self, pixels):
        self.pixels, self.read = pixels, []

    def __getitem__(self, row):
        self.read.append(int(row))
        return self.pixels[row]


@pytest.mark.parametrize("labelled_views", [1, 2, 3])
@pytest.mark.parametrize("unlabelled_views", [1, 2, 3])
def test_an_image_is_read_once_a_step_for_all_its_views(
    pixels, labelled, unlabelled, tmp_path, labelled_views, unlabelled_views
):
    counted = Counted(pixels)
    labelled, unlabelled = (replace(each, pixels=counted) for each in (labelled, unlabelled))
    rotated = Augmentation(rotation=90)
    stage = replace(
        STAGE, views=(rotated,) * labelled_views, unlabelled_views=(rotated,) * unlabelled_views
    )
    batches = [batch for batch, _ in _shown(stage, labelled, unlabelled, tmp_path)]
    assert {(len(b.views), len(b.unlabelled)) for b in batches} == {
        (labelled_views, unlabelled_views)
    }
    # Three steps of four: the two with a label six times each, and everything once without.
    assert Counter(counted.read) == {0: 7, 1: 7} | dict.fromkeys(range(2, 12), 1)


def test_labels_come_in_the_same_batches_with_and_without_unlabelled_images(
    labelled, unlabelled, tmp_path
):
    augmented = RECIPE.model_copy(update={"augmentation": Augmentation(rotation=90)})
    plain = replace(STAGE, recipe=augmented)
    further = replace(plain, unlabelled_views=(Augmentation(rotation=90),))
    one, other = (_shown(stage, labelled, unlabelled, tmp_path) for stage in (plain, further))
    for (alone, _), (together, _) in zip(one, other, strict=True):
        np.testing.assert_array_equal(alone.images, together.images)
        np.testing.assert_array_equal(alone.labels, together.labels)
        assert not alone.unlabelled
        assert len(together.unlabelled) == 1


def test_the_stream_is_shuffled_and_augmented_by_other_numbers(pixels, tmp_path):
    everything = Samples(pixels, np.arange(12), np.zeros(12, np.int64))
    stage = replace(
        STAGE,
        recipe=RECIPE.model_copy(update={"augmentation": Augmentation(rotation=90)}),
        unlabelled_views=(Augmentation(rotation=90),),
    )
    batches = [batch for batch, _ in _shown(stage, everything, None, tmp_path)]
    labelled = np.concatenate([batch.images for batch in batches])
    stream = np.concatenate([batch.unlabelled[0] for batch in batches])
    assert not set(map(bytes, labelled)) & set(map(bytes, stream))


def test_picks_join_the_labelled_images_under_their_new_labels(labelled, unlabelled, tmp_path):
    stage = replace(STAGE, picks=Picks(np.array([7, 0]), np.array([1, 1])))
    found = [
        (bytes(image), int(label))
        for batch, _ in _shown(stage, labelled, unlabelled, tmp_path)
        for image, label in zip(batch.images, batch.labels, strict=True)
    ]
    pixels = labelled.pixels
    known = {(bytes(pixels[row]), label) for row, label in ((0, 0), (1, 1), (9, 1), (2, 1))}
    # Twelve images an epoch: each of the four three times.
    assert set(found) == known
    assert all(found.count(each) == 3 for each in known)


def test_an_image_picked_twice_is_refused(labelled, unlabelled, tmp_path):
    stage = replace(STAGE, picks=Picks(np.array([1, 1]), np.array([0, 0])))
    with pytest.raises(ValueError, match="none twice"):
        _shown(stage, labelled, unlabelled, tmp_path)


def test_without_unlabelled_images_an_epoch_is_as_it_was(pixels, tmp_path):
    train = Samples(pixels, np.arange(12), np.arange(12) % 3)
    nobody = Samples(pixels, np.arange(0), Sealed())
    one, other = (_shown(STAGE, train, none, tmp_path) for none in (None, nobody))
    for (alone, _), (with_none, _) in zip(one, other, strict=True):
        np.testing.assert_array_equal(alone.images, with_none.images)
    order = np.random.default_rng((0, 0, 0)).permutation(12)
    np.testing.assert_array_equal(one[0][0].images, pixels[order[:4]])


def test_a_teacher_is_asked_by_the_steps_of_the_stage(labelled, unlabelled, tmp_path):
    recipe = RECIPE.model_copy(update={"epochs": 2})
    stage = replace(STAGE, recipe=recipe, teacher=Teacher(lambda step: step / 10))
    keeps = [keeps for _, keeps in _shown(stage, labelled, unlabelled, tmp_path)]
    assert keeps == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.5])
