"""Maps in a bundle: what is refused, what they score and by whom, and what is kept of them."""

import io
import shutil
import zipfile
from dataclasses import replace

import bundles_made
import explained_made
import numpy as np
import pytest

from benchmark.comparison import compare
from benchmark.errors import UserError
from benchmark.leaderboard import build
from benchmark.records.index import opened
from benchmark.records.predictions import submitted as predictions_of
from benchmark.submissions import keep
from benchmark.submissions.board import find, submitted
from benchmark.submissions.faults import BundleError
from benchmark.submissions.make import make
from benchmark.submissions.maps import MOST_SIDE, read
from benchmark.submissions.verify import verify
from tasks.given import Trial

HEADLINE = "explainability_f1"


@pytest.fixture(scope="module")
def explained(tmp_path_factory):
    results = tmp_path_factory.mktemp("explained")
    return results, *explained_made.run(results)


@pytest.fixture(scope="module")
def bundled(explained, tmp_path_factory):
    """A function that makes a bundle of maps, drawn from a seed, or of none."""
    results, record, _ = explained
    folder = tmp_path_factory.mktemp("bundled")
    predicted, about = explained_made.files(folder, results, record)
    ids = bundles_made.question_of(results, record).trials[0].test

    def bundle(seed=None):
        target = folder / f"{seed}.zip"
        maps = []
        if seed is not None:
            values = explained_made.maps(ids, seed)
            # In another order: rows are found by their ids.
            maps = [str(explained_made.write(folder / "maps.npz", ids[::-1], values[::-1]))]
        make([str(predicted)], about, record.run_id, target, results, maps)
        return target

    return bundle


def test_the_same_maps_get_the_scores_of_the_run_that_made_them(explained, bundled):
    results, record, _ = explained
    found = verify(bundled(0), results)
    mapped = [name for name in record.metrics if name.startswith("explainability_")]
    assert len(mapped) == 12
    for name in mapped:
        ours, theirs = found.score.metrics[name], record.metrics[name]
        assert (ours.value, ours.low, ours.high) == (theirs.value, theirs.low, theirs.high), name
    assert "correct_only_f1" in found.score.metrics
    for missing in ("explainability_skill", "insertion_auc", "discrimination_f1"):
        assert missing not in found.score.metrics
    assert any("what needs further maps or the network is missing" in r for r in found.remarks)


def test_other_maps_score_otherwise(explained, bundled):
    results, record, _ = explained
    value = verify(bundled(1), results).score.metrics[HEADLINE].value
    assert value != record.metrics[HEADLINE].value


@pytest.mark.parametrize(
    ("seed", "told"),
    [(0, "The maps are of the right shape and range and were not"), (None, "There are no maps")],
)
def test_what_was_scored_without_masks_or_maps_is_said(explained, bundled, seed, told, monkeypatch):
    # As of a data set that is not rendered here: nobody says where it lies.
    monkeypatch.setattr("benchmark.submissions.verify.original", lambda *a, **k: None)
    found = verify(bundled(seed), explained[0])
    assert HEADLINE not in found.score.metrics
    assert "macro_auc" in found.score.metrics
    assert any(remark.startswith(told) for remark in found.remarks)
    assert found.unscored_maps == (seed is not None)


def test_masks_of_another_data_set_are_refused(explained, bundled, monkeypatch):
    results, _, dataset = explained
    other = replace(dataset, masks=dataset.masks.iloc[1:])
    monkeypatch.setattr("benchmark.records.original.load", lambda *a, **k: other)
    with pytest.raises(UserError, match="is not the data of run"):
        verify(bundled(0), results)


def test_maps_that_were_kept_are_a_row_with_a_rank_and_the_floors_beside_it(
    explained, bundled, tmp_path
):
    results, _, _ = explained
    shutil.copytree(results / "v1", tmp_path / "v1")
    kept = {}
    for seed in (1, None):
        found = verify(bundled(seed), results)
        kept[seed] = keep.keep(tmp_path, found.manifest, list(found.said.values())).name
    own = find(tmp_path, kept[1])
    assert own.metrics[HEADLINE] == verify(bundled(1), results).score.metrics[HEADLINE]
    with np.load(predictions_of(tmp_path, kept[1])) as arrays:
        assert all(arrays[name].ndim == 1 for name in arrays.files if "probab" not in name)
    floors = {name: set(each.metrics) for name, each in own.baselines.items()}
    assert floors == {"centred Gaussian": {HEADLINE}}
    with pytest.raises(UserError, match="has no explainability F1, by which rows rank"):
        compare(tmp_path, [own], [find(tmp_path, kept[None])])
    assert build(tmp_path).problems == ()
    text = (tmp_path / "v1" / "leaderboard.md").read_text()
    for heading in ("submitted maps", "no maps"):
        assert f"by the authors' account, {heading}\n" in text
    assert "common-correct F1 needs the predictions" not in text.split("submitted maps")[-1]


def test_scores_of_maps_that_no_maps_have_are_no_row(explained, bundled, tmp_path):
    results, _, _ = explained
    shutil.copytree(results / "v1", tmp_path / "v1")
    found = verify(bundled(1), results)
    (said,) = found.said.values()
    for forged in ({HEADLINE: said.values[HEADLINE] + 1}, {"macro_auc": said.values[HEADLINE]}):
        values = type(said)(said.ids, said.probabilities, forged)
        keep.keep(tmp_path, found.manifest, [values])
    with opened(tmp_path) as index:
        problems = submitted(tmp_path, index).problems
    assert len(problems) == 2
    assert all("is no score of maps" in problem for problem in problems)


def test_other_tasks_take_no_maps(made, tmp_path):
    results, record = made
    table = bundles_made.tables(results, record)["main"]
    (tmp_path / "m.toml").write_text(bundles_made.ABOUT)
    predicted = bundles_made.write(table, tmp_path / "p.csv")
    with pytest.raises(UserError, match="task diagnosis scores no maps: leave out --maps"):
        make([str(predicted)], tmp_path / "m.toml", record.run_id, tmp_path / "b", results, ["m"])


def test_a_manifest_cannot_bring_maps_to_a_task_that_scores_none(made, bundle):
    def change(manifest):
        manifest["question"]["trials"][0]["maps"] = "maps-1.npz"

    held = bundles_made.contents(bundles_made.changed(bundle, manifest=change))
    path = bundles_made.zipped(bundle, held | {"maps-1.npz": b"PK"})
    with pytest.raises(BundleError, match="task diagnosis scores no maps"):
        verify(path, made[0])


TRIAL = Trial("main", ("t",), ("v",), ("a", "b", "c"))
GOOD = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 2, 2)


def _npz(**arrays):
    stream = io.BytesIO()
    np.savez_compressed(stream, **{"ids": np.array(["a", "b", "c"]), "maps": GOOD} | arrays)
    return stream.getvalue()


@pytest.mark.parametrize("kind", [np.float16, np.float32])
def test_sound_maps_come_in_the_trials_order(kind):
    content = _npz(ids=np.array(["c", "a", "b"]), maps=GOOD.astype(kind))
    found = read("m.npz", content, TRIAL).values
    assert found.dtype == kind
    np.testing.assert_array_equal(found, GOOD.astype(kind)[[1, 2, 0]])


def _with(value):
    changed = GOOD.copy()
    changed[1, 0, 1] = value
    return changed


def _pickled():
    stream = io.BytesIO()
    np.savez(stream, ids=np.array(["a"]), maps=np.array([{}], object))
    return stream.getvalue()


def _bomb():
    stream = io.BytesIO()
    np.savez_compressed(stream, ids=np.array(["a", "b", "c"]), maps=np.zeros((3, 1000, 1000)))
    return stream.getvalue()


def _lying():
    """A header that promises a thousand times what is there."""
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        stream, {"descr": "<f4", "fortran_order": False, "shape": (3000, 1000, 1000)}
    )
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("maps.npy", stream.getvalue())
    return packed.getvalue()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (_npz(maps=_with(-0.1)), "row 2: the map of 'b' holds -0.1: give finite values from 0 to"),
        (_npz(maps=_with(1.01)), "holds 1.01"),
        (_npz(maps=_with(np.nan)), "holds nan"),
        (_npz(maps=_with(np.inf)), "holds inf"),
        (_npz(maps=GOOD[:, 0]), r"maps is float32 of shape \(3, 2\): give float16 or float32"),
        (_npz(maps=GOOD[:2]), r"of shape \(2, 2, 2\): give .* of shape \(3, h, w\)"),
        (_npz(maps=GOOD[:, :0]), r"of shape \(3, 0, 2\)"),
        (_npz(maps=GOOD.astype(float)), "maps is float64"),
        (_npz(maps=(GOOD * 255).astype(np.uint8)), "maps is uint8"),
        (_npz(maps=np.ones((3, 1, MOST_SIDE + 1), np.float16)), "1 x 1025: 1024 are allowed"),
        (_npz(ids=np.array(["a", "b", "t"])), "'t' is in the part 'train', not a test image"),
        (_npz(ids=np.array(["a", "b", "b"])), "image 'b' is also in row 2"),
        (_npz(ids=np.array(["a", "b"]), maps=GOOD[:2]), "there is no row for test image 'c'"),
        (_npz(ids=np.arange(3)), "ids is int64"),
        (_npz(more=np.zeros(1)), "more than 2 files"),
        (_pickled(), "only numbers and text are read"),
        (_bomb(), "unpacks to more than 200 times its size"),
        (_lying(), "is not as long as its header says"),
        (b"", "it is no zip file"),
        (_npz()[:-9], "."),
    ],
)
def test_maps_of_the_wrong_shape_or_range_are_refused(content, told):
    with pytest.raises(BundleError, match=told) as caught:
        read("m.npz", content, TRIAL)
    assert str(caught.value).isprintable()
