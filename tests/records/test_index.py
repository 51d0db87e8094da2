"""The index of the records: opens no file twice, believes no damage, forgets what is gone."""

import importlib
import os
import sqlite3
import sys
import threading
from pathlib import Path

import pytest

from benchmark import plugins
from benchmark.common.cache import cache_folder
from benchmark.records import sources
from benchmark.records.index import opened
from benchmark.records.record import Baseline, Metric
from benchmark.records.store import Store

sys.path.insert(0, str(Path(__file__).parent))
records_made = importlib.import_module("records_made")


def a_record(run_id, score=0.5, **fields):
    metrics = {"auc": Metric(value=score, low=score - 0.1, high=score + 0.1, n=9, groups=7)}
    config = {"arch": "VGG16", "framework": "torch", "method": "focal", "seed": None, "x": [1, 2.5]}
    floor = {"chance": Baseline(kind="floor", metrics=metrics)}
    return records_made.record(run_id, "auc", metrics, config, **{"baselines": floor} | fields)


@pytest.fixture
def results(tmp_path, monkeypatch):
    """Three records and an index of their own."""
    monkeypatch.setenv("DERMBENCH_CACHE", str(tmp_path / "cache"))
    for run in ("a", "b", "c"):
        Store(tmp_path / "results").save(a_record(run))
    return tmp_path / "results"


@pytest.fixture
def reading(monkeypatch):
    """The names of the files that are read, in order."""
    names, really = [], Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda p: names.append(p.name) or really(p))
    return names


def found(results):
    """Every record as the index has it, and what it says of the others."""
    with opened(results) as index:
        return tuple(index.records(index.heads)), index.problems


def the_file():
    (file,) = (cache_folder() / "records").glob("*.sqlite")
    return file


def path(results, run):
    return results / "v1" / "records" / f"{run}.json"


def test_it_gives_the_records_as_they_are_cold_and_warm(results):
    (results / "v1" / "records" / "bad.json").write_text("{")
    stored = Store(results).all()
    assert found(results) == (stored.records, stored.problems)
    assert found(results) == (stored.records, stored.problems)


def test_a_head_tells_what_the_record_has(results):
    with opened(results) as index:
        assert index.count == 3
        head = next(index.heads)
    assert head.part == ("diagnosis", "1", "d" * 64)
    assert (head.run_id, head.arch, head.method, head.seed) == ("a", "VGG16", "focal", "-")
    assert (head.headline, head.value) == ("auc", 0.5)


def test_no_file_is_read_twice_not_even_a_damaged_one(results, reading):
    (results / "v1" / "records" / "bad.json").write_text("{")
    found(results)
    assert sorted(reading) == ["a.json", "b.json", "bad.json", "c.json"]
    reading.clear()
    (_, (problem,)) = found(results)
    assert reading == []
    assert problem.startswith(f"{path(results, 'bad')} is not valid JSON")


def test_a_changed_file_is_read_and_one_that_was_only_touched_is_not_parsed(
    results, reading, monkeypatch
):
    found(results)
    Store(results).save(a_record("b", 0.7))
    os.utime(path(results, "c"), ns=(1, 1))
    reading.clear()
    parsing, really = [], importlib.import_module("benchmark.records.index").parsed
    monkeypatch.setattr(
        "benchmark.records.index.parsed", lambda p, c: parsing.append(p.name) or really(p, c)
    )
    records, _ = found(results)
    assert (reading, parsing) == (["b.json", "c.json"], ["b.json"])
    assert [r.metrics["auc"].value for r in records] == [0.5, 0.7, 0.5]


def test_a_change_that_keeps_size_and_time_is_seen(results):
    found(results)
    before = path(results, "b").stat()
    content = path(results, "b").read_text().replace('"value": 0.5', '"value": 0.6')
    path(results, "b").write_text(content)
    os.utime(path(results, "b"), ns=(before.st_atime_ns, before.st_mtime_ns))
    records, _ = found(results)
    assert records[1].metrics["auc"].value == 0.6


def test_a_removed_record_is_gone_and_what_was_noted_with_it(results):
    with opened(results) as index:
        index.note({"b.json": "of b", "a.json": "of a"})
    path(results, "b").unlink()
    assert [r.run_id for r in found(results)[0]] == ["a", "c"]
    Store(results).save(a_record("b"))
    with opened(results) as index:
        assert [index.noted(f"{run}.json") for run in ("a", "b")] == ["of a", ""]


def test_a_mended_and_a_newly_damaged_file_change_places(results):
    path(results, "a").write_text("{}")
    assert [r.run_id for r in found(results)[0]] == ["b", "c"]
    Store(results).save(a_record("a"))
    path(results, "c").write_text("[]")
    records, (problem,) = found(results)
    assert [r.run_id for r in records] == ["a", "b"]
    assert "c.json is not a record of DermBench" in problem


def test_the_folder_may_be_called_otherwise_next_time(results, monkeypatch):
    path(results, "bad").write_text("{")
    found(results)
    monkeypatch.chdir(results.parent)
    (_, (problem,)) = found("results")
    assert problem.startswith(f"{Path('results/v1/records/bad.json')} is not")


@pytest.mark.parametrize("content", [b"no database", b"SQLite format 3\0" + b"\1" * 5000, b""])
def test_a_file_that_is_no_index_is_made_anew(results, reading, content):
    expected = found(results)
    the_file().write_bytes(content)
    reading.clear()
    assert found(results) == expected
    assert len(reading) == 3
    reading.clear()
    assert found(results) == expected
    assert reading == []


def _spoil(statement, *values):
    with sqlite3.connect(the_file()) as database:
        database.execute(statement, values)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE records SET head = replace(head, 'VGG16', 'VGG19')",
        "UPDATE records SET head = ''",
        "UPDATE records SET content = x'00'",
        "UPDATE records SET content = NULL",
        "UPDATE baselines SET content = replace(content, '0.5', '0.9')",
        "DELETE FROM baselines",
    ],
)
def test_damaged_rows_are_not_believed(results, statement):
    expected = found(results)
    _spoil(statement)
    with opened(results) as index:
        assert {head.arch for head in index.heads} == {"VGG16"}
    assert found(results) == expected


def test_a_damaged_note_is_forgotten(results):
    with opened(results) as index:
        index.note({"x": "kept"})
        assert index.noted("x") == "kept"
    _spoil("UPDATE notes SET text = 'made up'")
    with opened(results) as index:
        assert index.noted("x") == ""


def test_what_other_code_wrote_is_read_again(results, reading, monkeypatch):
    expected = found(results)
    with opened(results) as index:
        index.note({"x": "kept"})
    monkeypatch.setattr(sources, "fingerprint", lambda: "of a later version")
    reading.clear()
    assert found(results) == expected
    assert len(reading) == 3
    with opened(results) as index:
        assert index.noted("x") == ""


def test_a_note_is_forgotten_when_other_plugins_are_loaded(results, reading, tmp_path, monkeypatch):
    with opened(results) as index:
        index.note({"x": "kept"})
    plugin = tmp_path / "zoo.py"
    plugin.write_text("")
    monkeypatch.setenv(plugins.VARIABLE, str(plugin))
    reading.clear()
    with opened(results) as index:
        assert index.noted("x") == ""
        index.note({"x": "kept with it"})
        assert index.noted("x") == "kept with it"
    # The records are what they were.
    assert reading == ["zoo.py"]
    monkeypatch.delenv(plugins.VARIABLE)
    with opened(results) as index:
        assert index.noted("x") == ""


def test_without_a_cache_folder_all_is_read_and_nothing_kept(results, reading, monkeypatch):
    expected = found(results)
    blocked = results / "file"
    blocked.write_text("")
    monkeypatch.setenv("DERMBENCH_CACHE", str(blocked / "cache"))
    for _ in range(2):
        reading.clear()
        assert found(results) == expected
        assert len(reading) == 3


def test_while_another_build_writes_the_records_are_read_all_the_same(results, monkeypatch):
    monkeypatch.setattr("benchmark.records.index._PATIENCE", 0.01)
    expected = found(results)
    Store(results).save(a_record("d"))
    writer = sqlite3.connect(the_file(), isolation_level=None)
    writer.execute("BEGIN EXCLUSIVE")
    records, _ = found(results)
    writer.close()
    assert (records[:3], records[3].run_id) == (expected[0], "d")


def test_builds_at_once_agree(results):
    for at in range(40):
        Store(results).save(a_record(f"r{at}"))
    expected, answers = Store(results).all(), []
    threads = [threading.Thread(target=lambda: answers.append(found(results))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [(expected.records, expected.problems)] * 4


def test_equal_baselines_are_one_object(results):
    one, other, _ = found(results)[0]
    assert one.baselines["chance"] is other.baselines["chance"]


def test_of_no_records_there_is_an_empty_index(tmp_path):
    assert found(tmp_path / "none") == ((), ())
