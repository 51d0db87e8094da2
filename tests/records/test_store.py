"""Records survive the way to disk and back; damaged ones are named and cost nothing else."""

import importlib
import json
import sys
from pathlib import Path

import pytest

from benchmark.errors import UserError
from benchmark.records.record import Metric
from benchmark.records.store import Store

sys.path.insert(0, str(Path(__file__).parent))
records_made = importlib.import_module("records_made")


def a_record(run_id="abc123", value=0.5):
    metrics = {
        "macro_auc": Metric(value=value, low=0.4, high=0.6, n=10, groups=9),
        "macro_f1": Metric(value=None, n=0, groups=0, note="no image"),
    }
    return records_made.record(
        run_id,
        "macro_auc",
        metrics,
        {"arch": "Xception", "seed": 0, "image_size": [96, 96], "data_dir": None},
        packages={"numpy": "2"},
        hardware={"cpu": "some", "gpu": None},
        seconds={"train": 1.5},
        peak_memory_bytes={"host": 1},
    )


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path)
    store.save(a_record())
    return store


def rewrite(store, change, run_id="abc123"):
    """Apply `change` to the JSON of a stored record."""
    path = store.folder / f"{run_id}.json"
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


def test_a_record_comes_back_as_it_was_saved(tmp_path):
    store = Store(tmp_path)
    path = store.save(a_record())
    assert path == tmp_path / "v1" / "records" / "abc123.json"
    assert store.load("abc123") == a_record()
    assert store.has("abc123")
    assert not store.has("abc")


def test_saving_the_same_run_again_replaces_its_record(store):
    store.save(a_record(value=0.45))
    assert store.load("abc123").metrics["macro_auc"].value == 0.45
    assert len(store.all().records) == 1


def test_same_record_same_bytes(store, tmp_path):
    first = (store.folder / "abc123.json").read_bytes()
    assert store.save(a_record()).read_bytes() == first


def test_all_is_sorted_by_run_id_and_empty_without_a_folder(store, tmp_path):
    for run_id in ("zz", "aa", "mm"):
        store.save(a_record(run_id))
    assert [r.run_id for r in store.all().records] == ["aa", "abc123", "mm", "zz"]
    assert Store(tmp_path / "nowhere").all().records == ()


@pytest.mark.parametrize("run_id", ["../evil", "", "a/b", ".hidden", "a" * 65])
def test_a_run_id_that_is_no_file_name_is_refused(store, run_id):
    with pytest.raises(ValueError, match="run id"):
        store.save(a_record(run_id))
    assert not store.has(run_id)


def test_numbers_that_are_not_finite_are_in_no_record(store):
    with pytest.raises(ValueError, match="finite number"):
        store.save(a_record("nan", value=float("nan")))
    assert [p.name for p in store.folder.iterdir()] == ["abc123.json"]


def test_find_takes_a_prefix_that_is_unique(store):
    store.save(a_record("abd"))
    assert store.find("abc").run_id == "abc123"
    with pytest.raises(UserError, match=r"2 records .* 'ab' \(abc123, abd\)"):
        store.find("ab")
    with pytest.raises(UserError, match=r"no record 'xyz' .*list records"):
        store.find("xyz")


def test_find_prefers_the_whole_id_to_a_longer_one(store):
    store.save(a_record("abc"))
    assert store.find("abc").run_id == "abc"


DAMAGE = {
    "truncated": ('{"schema_version": 1, "run_', "is not valid JSON"),
    "empty": ("", "is not valid JSON"),
    "nested": ("[" * 100_000, "is not valid JSON"),
    "a_list": ("[1, 2]", "not a record of DermBench"),
    "foreign": ('{"name": "package", "version": 1}', "no field schema_version"),
    "newer": ('{"schema_version": 99}', "schema_version 99 .* reads 1"),
    "nan": ('{"schema_version": 1, "parameters": NaN}', "number NaN"),
    "huge": ('{"schema_version": 1, "parameters": 1e999}', "number 1e999"),
    "bare": ('{"schema_version": 1}', "field benchmark_version: .* more faults: restore"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_file_is_named_with_its_fault_and_costs_no_other_record(store, kind):
    text, says = DAMAGE[kind]
    (store.folder / f"{kind}.json").write_text(text)
    with pytest.raises(UserError, match=says) as error:
        store.load(kind)
    assert f"{kind}.json" in str(error.value)
    assert "\n" not in str(error.value)
    found = store.all()
    assert [r.run_id for r in found.records] == ["abc123"]
    assert found.problems == (str(error.value),)


def test_bytes_that_are_not_text_are_named(store):
    (store.folder / "bytes.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match=r"bytes\.json is not valid JSON"):
        store.load("bytes")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda v: v["metrics"]["macro_auc"].update(value="0.5±0.1"), "metrics.macro_auc.value"),
        (lambda v: v["trials"][0].pop("n_test"), "trials.0.n_test"),
        (lambda v: v.update(surprise=1), "surprise"),
    ],
)
def test_the_field_at_fault_is_named(store, change, field):
    rewrite(store, change)
    with pytest.raises(UserError, match=f"field {field}: "):
        store.load("abc123")


def test_a_record_under_another_name_is_refused(store):
    (store.folder / "abc123.json").rename(store.folder / "other.json")
    with pytest.raises(UserError, match=r"name the file abc123\.json"):
        store.load("other")


def test_a_file_that_is_being_written_is_no_record(store):
    (store.folder / ".abc123-x7.json").write_text('{"half')
    assert store.all().problems == ()


def test_an_unreadable_file_is_named(store):
    (store.folder / "folder.json").mkdir()
    (problem,) = store.all().problems
    assert "folder.json cannot be read" in problem
