"""Two checkpoints of a stage, of which one may be damaged."""

import numpy as np
import pytest

from benchmark.errors import UserError
from benchmark.training import checkpoint
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
        patch.setattr("benchmark.files.save_file", full)
        for _ in range(2):
            with pytest.raises(UserError, match="No space left"):
                save_checkpoint(path, _made(3, np.random.default_rng(1)))
    _same(load_checkpoint(path, lambda line: None), newer)
