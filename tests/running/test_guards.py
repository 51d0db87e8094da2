"""What a run refuses before it trains."""

from pathlib import Path

import pandas as pd
import pytest

from benchmark.common.progress import SilentDisplay
from benchmark.data.dataset import Dataset
from benchmark.errors import DataError
from benchmark.running.guards import Guards
from tasks.given import Trial

IDS = [f"i{number}" for number in range(12)]
WHOLE = Trial("main", tuple(IDS[:6]), tuple(IDS[6:9]), tuple(IDS[9:]))


@pytest.fixture
def make(tmp_path):
    """Makes a data set of twelve files, each of its own bytes."""

    def made(name="folder", prefix="g", **columns):
        paths = []
        for sample in IDS:
            path = tmp_path / f"{name}-{prefix}-{sample}.png"
            path.write_bytes(f"{name} {prefix} {sample}".encode())
            paths.append(str(path))
        table = pd.DataFrame(
            {"path": paths, "label": [0, 1] * 6, "group": [f"{prefix}{i}" for i in IDS]}
            | {"split": ""}
            | columns,
            index=pd.Index(IDS, name="id"),
        )
        return Dataset(name, Path(name), table, ("a", "b"))

    return made


def refuse_leaks(dataset, trials, earlier, allowed):
    """By name alone; all of each earlier data set is in its parts."""
    divided = [(other, {"train": IDS[:6], "validation": IDS[6:9]}) for other in earlier]
    guards = Guards.of_run(Path("unused"), allowed, SilentDisplay())
    return guards.refuse_leaks(dataset, trials, divided, with_pixels=False)


def test_parts_without_anything_in_common_pass(make):
    assert refuse_leaks(make(), [WHOLE], [], allowed=False) == ()


@pytest.mark.parametrize(("one", "other"), [("i0", "i9"), ("i5", "i6"), ("i8", "i11")])
def test_a_lesion_in_any_two_parts_is_refused_by_name(make, one, other):
    dataset = make()
    dataset.table.loc[[one, other], "group"] = "mole-7"
    with pytest.raises(DataError, match=f"{other} .* and {one} .* of mole-7.*--allow-leaks"):
        refuse_leaks(dataset, [WHOLE], [], allowed=False)


def test_allowed_leaks_are_told(make):
    dataset = make()
    dataset.table.loc[["i0", "i9"], "group"] = "mole-7"
    (told,) = refuse_leaks(dataset, [WHOLE], [], allowed=True)
    assert "1 of 3 test images show a lesion or patient that is also in train" in told
    assert "allowed by --allow-leaks" in told


def test_every_trial_is_looked_at(make):
    dataset = make()
    dataset.table.loc[["i0", "i1"], "group"] = "mole-7"
    other = Trial("second", tuple(IDS[1:6]), tuple(IDS[6:9]), ("i0",))
    with pytest.raises(DataError, match="mole-7"):
        refuse_leaks(dataset, [WHOLE, other], [], allowed=False)


def test_a_test_image_in_the_data_of_the_pretraining_is_refused(make):
    dataset, earlier = make(), make(prefix="h")
    Path(earlier.table.at["i0", "path"]).write_bytes(
        Path(dataset.table.at["i10", "path"]).read_bytes()
    )
    with pytest.raises(DataError, match=r"--pretrain-on .*i10"):
        refuse_leaks(dataset, [WHOLE], [earlier], allowed=False)
    (told,) = refuse_leaks(dataset, [WHOLE], [earlier], allowed=True)
    assert "the pre-training data" in told


def test_the_pretrainings_own_parts_are_looked_at(make):
    earlier = make(prefix="h")
    earlier.table.loc[["i0", "i7"], "group"] = "mole-7"
    with pytest.raises(DataError, match="1 of 3 validation images"):
        refuse_leaks(make(), [WHOLE], [earlier], allowed=False)


def test_what_the_pretraining_does_not_use_is_not_looked_at(make):
    earlier = make(prefix="h")
    earlier.table.loc[["i0", "i9"], "group"] = "mole-7"
    assert refuse_leaks(make(), [WHOLE], [earlier], allowed=False) == ()


def test_a_damaged_memory_of_leaks_is_asked_anew(make, shared_cache):
    dataset = make(prefix="q")
    dataset.table.loc[["i0", "i9"], "group"] = "mole-7"
    (told,) = refuse_leaks(dataset, [WHOLE], [], allowed=True)
    newest = max((shared_cache / "leaks").iterdir(), key=lambda path: path.stat().st_mtime_ns)
    assert "mole-7" in newest.read_text()
    assert refuse_leaks(dataset, [WHOLE], [], allowed=True) == (told,)
    newest.write_text("kind\nnonsense")
    assert refuse_leaks(dataset, [WHOLE], [], allowed=True) == (told,)
    assert "mole-7" in newest.read_text()
