"""What `list` remembers, and when it does not."""

import json
import sys
from importlib.metadata import EntryPoint, EntryPoints

import pytest

from benchmark import listed
from benchmark.common.cache import cache_folder
from benchmark.show import text_table
from benchmark.show.things import listing


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DERMBENCH_CACHE", str(tmp_path))


def _table(kind):
    return text_table(listing(kind)[kind])


@pytest.mark.parametrize("kind", listed.THINGS)
def test_the_remembered_text_is_the_table(kind):
    expected = _table(kind)
    assert listed.text_of(kind, _table) == expected
    assert listed.text_of(kind, _table) == expected


def test_what_is_remembered_is_not_made_again():
    text = listed.text_of("methods", _table)
    assert listed.text_of("methods", lambda kind: pytest.fail("made again")) == text


def test_a_changed_file_of_the_suite_makes_it_anew(tmp_path, monkeypatch):
    package = tmp_path / "somepackage"
    package.mkdir()
    (package / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(listed, "_PACKAGES", ("somepackage",))
    assert listed.text_of("tasks", lambda kind: "before") == "before"
    assert listed.text_of("tasks", lambda kind: "after") == "before"
    (package / "further.py").write_text("")
    assert listed.text_of("tasks", lambda kind: "after") == "after"
    sys.modules.pop("somepackage", None)


@pytest.mark.parametrize("damage", ["", "[]", "{}", '{"key": 1, "tables": 2}', "\udcff"])
def test_a_damaged_memory_is_made_anew(damage):
    text = listed.text_of("tasks", _table)
    path = cache_folder() / "listed.json"
    path.write_text(damage, errors="surrogateescape")
    assert listed.text_of("tasks", _table) == text
    assert json.loads(path.read_text())["tables"]["tasks"] == text


def test_another_packages_things_are_looked_at_every_time(monkeypatch):
    entry = EntryPoint("other", "other:Thing", "dermbench.methods")
    monkeypatch.setattr(listed, "entry_points", lambda: EntryPoints([entry]))
    assert listed.text_of("methods", lambda kind: "one") == "one"
    assert listed.text_of("methods", lambda kind: "two") == "two"


def test_a_cache_that_cannot_be_written_costs_only_time(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DERMBENCH_CACHE", str(tmp_path / "file" / "below"))
    assert "explainability" in listed.text_of("tasks", _table)
