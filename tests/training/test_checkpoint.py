"""Two checkpoints of a stage, of which one may be damaged."""

from types import SimpleNamespace

import numpy as np
import pytest

from benchmark.common.progress import SilentDisplay
from benchmark.data.pipeline import Samples
from benchmark.errors import UserError
from benchmark.methods.base import Stage
from benchmark.recipe import Recipe
from benchmark.training import checkpoint, loop
from benchmark.training.checkpoint import Begun, Checkpoint, load_checkpoint, save_checkpoint


def _made(epoch, rng):
    weights = {"conv/kernel": rng.normal(size=(3, 4)).astype(np.float32), "seed": np.uint32(epoch)}
    return Checkpoint(
        epochs=[{"epoch": number + 1, "loss": 0.1 / (number + 1)} for number in range(epoch)],
        best_epoch=1,
        begun=Begun([np.float32(0.3), np.float32(1 / 3)], 8, 0.25),
        micro_batches=2,
        weights={name: np.asarray(value) for name, value in weights.items()},
        best={"conv/kernel": rng.normal(size=(0, 4))},
        optimiser={"0/step": np.float32(epoch) * np.ones(())},
    )


@pytest.fixture
def saved(tmp_path):
    """The path, and the two that were written, the newest first."""
    rng, path = np.random.default_rng(0), tmp_path / "checkpoints" / "t-train.safetensors"
    older, newer = _made(1, rng), _made(2, rng)
    for each in (_made(5, rng), older, newer):
        save_checkpoint(path, each)
    return path, newer, older


def _same(found, expected):
    assert found.epochs == expected.epochs
    assert found.best_epoch == expected.best_epoch
    assert found.micro_batches == expected.micro_batches
    assert found.begun == expected.begun
    for part in ("weights", "best", "optimiser"):
        tensors = getattr(expected, part)
        assert set(getattr(found, part)) == set(tensors)
        for name, value in tensors.items():
            np.testing.assert_array_equal(getattr(found, part)[name], value)
            assert getattr(found, part)[name].dtype == value.dtype


def _damage(path, how):
    content = path.read_bytes()
    if how == "cut":
        path.write_bytes(content[:-3])
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "a bit turned over":
        path.write_bytes(content[:-3] + bytes([content[-3] ^ 1]) + content[-2:])
    else:
        place = content.index(b"best_epoch")
        path.write_bytes(content[:place] + b"r" + content[place + 1 :])


DAMAGES = ["cut", "empty", "a bit turned over", "its log changed"]


def test_the_newest_is_read_as_it_was_written(saved):
    path, newer, _ = saved
    said = []
    _same(load_checkpoint(path, said.append), newer)
    assert said == []


def test_two_are_kept(saved):
    path, *_ = saved
    assert len(list(path.parent.iterdir())) == 2


@pytest.mark.parametrize("how", DAMAGES)
def test_of_a_damaged_one_the_one_before_is_taken_and_it_is_said(saved, how):
    path, _, older = saved
    _damage(path, how)
    said = []
    _same(load_checkpoint(path, said.append), older)
    (line,) = said
    assert line.startswith(f"checkpoint {path} is damaged (")
    assert line.endswith("): the one before it is taken")


def test_a_damaged_one_is_not_kept_as_the_one_before(saved):
    path, newer, older = saved
    _damage(path, "cut")
    load_checkpoint(path, lambda line: None)
    save_checkpoint(path, newer)
    _damage(path, "cut")
    _same(load_checkpoint(path, lambda line: None), older)


def test_where_both_are_damaged_the_stage_starts_over(saved):
    path, *_ = saved
    for each in list(path.parent.iterdir()):
        _damage(each, "cut")
    said = []
    assert load_checkpoint(path, said.append) is None
    assert len(said) == 2
    assert said[1].endswith("the stage starts over")
    assert load_checkpoint(path, said.append) is None
    assert len(said) == 2


def test_a_kill_between_the_two_names_leaves_the_one_before(saved, monkeypatch):
    path, newer, _ = saved

    def killed(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint, "write_tensors", killed)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(path, _made(3, np.random.default_rng(1)))
    said = []
    _same(load_checkpoint(path, said.append), newer)
    assert said == []


def test_a_full_disk_leaves_the_one_before(saved, monkeypatch):
    path, newer, _ = saved

    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("benchmark.common.files.save_file", full)
        for _ in range(2):
            with pytest.raises(UserError, match="No space left"):
                save_checkpoint(path, _made(3, np.random.default_rng(1)))
    _same(load_checkpoint(path, lambda line: None), newer)


class Engine:
    """Of a network without weights."""

    micro_batches = 1

    def begin(self, *arguments):
        return {}

    end = assign = tensors = optimiser_state = begin


@pytest.mark.parametrize(("took", "expected"), [(0.0, [1, 4, 7, 8]), (0.3, [1, 6, 8])])
def test_writing_takes_a_twentieth_of_the_time_at_most(tmp_path, monkeypatch, took, expected):
    """Epochs of 1.2 s: the first and the last are kept, and one every 3 s or 20 times `took`."""
    clock, kept = [0.0], []

    def save(path, state):
        kept.append(len(state.epochs))
        clock[0] += took

    def epoch(training, validate):
        clock[0] += 1.2
        training.log.epochs.append({"validation": 0.5})
        training.log.best_epoch = 1

    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 3.0)
    monkeypatch.setattr(loop, "save_checkpoint", save)
    monkeypatch.setattr(loop.StageTraining, "epoch", epoch)
    recipe = Recipe(epochs=8, batch_size=2, optimiser="sgd", learning_rate=0.1, schedule="constant")
    none = Samples(np.zeros((2, 4, 4, 3), np.uint8), np.arange(2), np.arange(2))
    stage = Stage("train", lambda network, batch: None, recipe)
    path = tmp_path / "c.safetensors"
    loop.train_stage(Engine(), stage, none, none, lambda *_: 0.5, 0, path, SilentDisplay())
    assert kept == expected
