import io
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

import records_made

from benchmark.common import archives
from benchmark.common.archives import read_arrays
from benchmark.errors import DataError
from benchmark.records import predictions
from benchmark.records.predictions import Predictions

SAID = Predictions(
    ("a", "b"), np.float32([[0.1, 0.9], [0.75, 0.25]]), {"f1": np.float32([0.5, np.nan])}
)


@pytest.fixture
def record():
    trials = tuple(records_made.trial({}, name) for name in ("DR", "DR/0"))
    return records_made.record("r0", "macro_f1", {}, {}, trials=trials)


def _npz(path, **arrays):
    np.savez_compressed(path, **arrays)
    return path


def test_what_is_saved_is_read_to_the_bit(tmp_path, record):
    path = predictions.save(tmp_path, "r0", [SAID, Predictions(("c",), np.float32([[1]]))])
    assert path == tmp_path / "v1" / "predictions" / "r0.npz"
    found = predictions.load(tmp_path, record)
    assert list(found) == ["DR", "DR/0"]
    assert found["DR"].ids == SAID.ids
    np.testing.assert_array_equal(found["DR"].probabilities, SAID.probabilities)
    np.testing.assert_array_equal(found["DR"].values["f1"], SAID.values["f1"])
    assert found["DR/0"].ids == ("c",)
    assert not found["DR/0"].values


def test_the_same_predictions_give_the_same_bytes(tmp_path):
    one = predictions.save(tmp_path / "one", "r0", [SAID]).read_bytes()
    assert predictions.save(tmp_path / "two", "r0", [SAID]).read_bytes() == one


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"0/ids": None}, "no array ids"),
        ({"0/ids": np.array([1, 2])}, "not text"),
        ({"0/ids": np.array(["a", "a"])}, "an id twice"),
        ({"0/ids": np.array(["a", "b", "c"])}, r"not \(N, K\) floats"),
        ({"0/probabilities": np.array([[1, 0], [0, 1]])}, r"not \(N, K\) floats"),
        ({"0/probabilities": np.float32([[np.nan, 1], [0, 1]])}, "not finite"),
        ({"0/f1": np.float32([1.0])}, r"f1 is float32 \(1,\)"),
    ],
)
def test_damaged_predictions_are_refused(tmp_path, change, told):
    trials = (records_made.trial({}),)
    record = records_made.record("r0", "macro_f1", {}, {}, trials=trials)
    path = predictions.save(tmp_path, "r0", [SAID])
    arrays = read_arrays(path) | change
    _npz(path, **{name: array for name, array in arrays.items() if array is not None})
    with pytest.raises(DataError, match=told):
        predictions.load(tmp_path, record)


def test_no_object_is_unpickled(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("it was unpickled",))

    path = _npz(tmp_path / "a.npz", x=np.array([Bomb()], object))
    with pytest.raises(DataError, match="holds object: only numbers and text"):
        read_arrays(path)


def _entry(path, content, name="x.npy"):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return path


def _array(shape, data=b""):
    stream = io.BytesIO()
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, header)
    return stream.getvalue() + data


@pytest.mark.parametrize("shape", [(1 << 40,), (-1, -2), (3,), (1,)])
def test_a_header_that_lies_makes_no_room(tmp_path, shape):
    path = _entry(tmp_path / "a.npz", _array(shape, bytes(8)))
    with pytest.raises(DataError, match="not as long as its header says"):
        read_arrays(path)


def test_what_swells_is_not_unpacked(tmp_path):
    path = _npz(tmp_path / "a.npz", x=np.zeros(1 << 20))
    with pytest.raises(DataError, match="more than 200 times its size"):
        read_arrays(path)


def test_many_arrays_together_are_bounded(tmp_path):
    path = _npz(tmp_path / "a.npz", x=np.arange(100.0), y=np.arange(100.0))
    assert set(read_arrays(path, 3000)) == {"x", "y"}
    with pytest.raises(DataError, match="unpacks to 1,856 bytes, 1,800 are allowed"):
        read_arrays(path, 1800)
    assert archives.MOST_BYTES > 1800


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"no archive", "not a sound npz archive"), (b"", "not a sound npz archive")],
)
def test_what_is_no_archive_is_refused(tmp_path, content, told):
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(DataError, match=told):
        read_arrays(tmp_path / "a.npz")


def test_a_cut_archive_and_a_changed_one_are_refused(tmp_path):
    path = _npz(tmp_path / "a.npz", x=np.random.default_rng(0).normal(size=1000))
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    with pytest.raises(DataError, match="not a sound npz archive"):
        read_arrays(path)
    path.write_bytes(whole[:2000] + bytes(50) + whole[2050:])
    with pytest.raises(DataError, match="not a sound npz archive"):
        read_arrays(path)


def test_what_is_no_array_or_there_twice_is_refused(tmp_path):
    with pytest.raises(DataError, match="is no array"):
        read_arrays(_entry(tmp_path / "a.npz", b"hello"))
    with zipfile.ZipFile(tmp_path / "b.npz", "w") as archive:
        archive.writestr("x.npy", _array((0,)))
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("x.npy", _array((0,)))
    with pytest.raises(DataError, match="two arrays have one name"):
        read_arrays(tmp_path / "b.npz")
    with pytest.raises(DataError, match="does not exist"):
        read_arrays(tmp_path / "c.npz")
