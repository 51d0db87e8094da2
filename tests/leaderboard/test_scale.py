"""A board of many records: read once, held part by part, shown in pages that stay usable."""

import gc
import shutil
import sys
import weakref
from pathlib import Path

import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).parent))

import site_made
from pages_read import Page

from benchmark import leaderboard
from benchmark.leaderboard import build, part
from benchmark.leaderboard.folder import OwnFolder
from benchmark.leaderboard.site import things
from benchmark.records.index import Index
from benchmark.records.record import DataUsed


def a_record(run_id, score, data="one", **settings):
    """A record on one of several data sets, which is a part of its own."""
    used = DataUsed(name=data, fingerprint=data[0] * 64, classes=("MEL", "NV"))
    return site_made.a_record(run_id, score, fields={"data": used}, **settings)


@pytest.fixture
def results(tmp_path, monkeypatch):
    """Two parts, one with two rows; one run has its folder; one file is damaged."""
    monkeypatch.setenv("DERMBENCH_CACHE", str(tmp_path / "cache"))
    results = tmp_path / "results"
    first = a_record("r1", 0.8)
    site_made.save(results, first, a_record("r2", 0.7, arch="VGG16"), a_record("r3", 0.6, "two"))
    site_made.run_folder(results, first)
    (results / "v1" / "records" / "bad.json").write_text("{")
    return results


@pytest.fixture
def reading(monkeypatch):
    """The names of the records that are read."""
    names, really = [], Path.read_bytes

    def read(path):
        if path.parent.name == "records" and path.suffix == ".json":
            names.append(path.stem)
        return really(path)

    monkeypatch.setattr(Path, "read_bytes", read)
    return names


def made(results):
    """All that a build wrote, anew or not."""
    build(results)
    return site_made.files(results / "v1")


def made_cold(results, tmp_path, monkeypatch):
    """What a build gives that knows of no other."""
    monkeypatch.setenv("DERMBENCH_CACHE", str(tmp_path / "other-cache"))
    clean = shutil.copytree(results, tmp_path / "clean")
    for name in ("plots", "site"):
        shutil.rmtree(clean / "v1" / name)
    return made(clean)


def test_a_build_that_knows_the_records_opens_none_and_gives_the_same(results, reading):
    build(results)
    assert sorted(reading) == ["bad", "r1", "r2", "r3"]
    cold = site_made.files(results / "v1")
    reading.clear()
    build(results)
    assert reading == []
    assert site_made.files(results / "v1") == cold


@pytest.mark.parametrize(
    "change",
    [
        lambda results: site_made.save(results, a_record("r2", 0.9, arch="VGG16")),
        lambda results: site_made.save(results, a_record("r4", 0.75, method="focal")),
        lambda results: (results / "v1" / "records" / "r1.json").unlink(),
        lambda results: (results / "v1" / "records" / "r3.json").write_text("{}"),
        lambda results: site_made.save(results, site_made.hostile_record("bad")),
    ],
    ids=["changed", "added", "removed", "damaged", "mended"],
)
def test_after_a_change_the_files_are_those_of_a_first_build(
    results, change, tmp_path, monkeypatch
):
    build(results)
    change(results)
    assert made(results) == made_cold(results, tmp_path, monkeypatch)


def test_a_page_is_written_again_if_its_run_folder_changed_or_somebody_edited_it(results):
    before = made(results)
    (plot,) = results.glob("v1/runs/*/main/plots/confusion.png")
    plot.unlink()
    after = made(results)
    changed = {n for n in before.keys() | after.keys() if before.get(n) != after.get(n)}
    changed = {name for name in changed if not name.startswith("runs/")}
    assert changed == {
        *("site/records/r1.html", "site/pictures/r1/0/confusion.png", "site/files.txt"),
    }
    (results / "v1" / "site" / "records" / "r2.html").write_text("edited")
    (results / "v1" / "site" / "records" / "r3.html").unlink()
    drawn = next((results / "v1" / "plots").glob("*.png"))
    drawn.write_bytes(b"edited")
    assert made(results) == after


def test_pages_and_plots_that_would_be_the_same_are_left_alone(results, monkeypatch):
    build(results)
    written = []
    really = OwnFolder.own
    monkeypatch.setattr(OwnFolder, "own", lambda own, n: written.append(n) or really(own, n))
    build(results)
    assert not [name for name in written if name.startswith("records/")]
    # The site looks whether it has a copy of each plot.
    assert all(name.startswith("plots/") for name in written if name.endswith(".png"))


def test_only_one_part_is_held(results, monkeypatch):
    alive, most, really = set(), [], Index.records

    def records(index, heads):
        gc.collect()
        most.append(len(alive))
        for record in really(index, heads):
            alive.add(record.run_id)
            weakref.finalize(record, alive.discard, record.run_id)
            yield record

    monkeypatch.setattr(Index, "records", records)
    build(results)
    assert most == [0, 0]


def test_a_long_section_is_cut_on_the_pages_of_all_sections_and_has_one_of_its_own(
    results, monkeypatch
):
    site_made.save(results, *(a_record(f"m{at}", 0.5, epochs=3 + at) for at in range(4)))
    whole = made(results)
    monkeypatch.setattr(leaderboard, "rows_shown", lambda records: 3)
    cut = made(results)
    (own,) = cut.keys() - whole.keys()
    assert own.startswith("site/sections/")
    site = results / "v1" / "site"
    index, page = Page.of(site / "index.html"), Page.of(results / "v1" / own)
    assert [len(table.rows) for table in index.tables[:2]] == [3, 1]
    assert [len(table.rows) for table in page.tables] == [6]
    assert "3 more rows on the section" in index.text
    assert own.removeprefix("site/") in index.links
    links = [link for link in page.links if "#" not in link]
    assert any("records/" in link for link in links)
    assert all((results / "v1" / own).parent.joinpath(link).exists() for link in links)
    text = cut["leaderboard.md"].decode()
    assert "3 more rows in `table.csv`." in text
    # Four rows share the third rank.
    assert (whole["leaderboard.md"].decode().count("\n| 3 "), text.count("\n| 3 ")) == (4, 1)
    # The tables have every row, and nothing else changed.
    assert (cut["table.csv"], cut["table.parquet"]) == (whole["table.csv"], whole["table.parquet"])
    assert {n for n in whole if cut[n] != whole[n]} == {
        *("leaderboard.md", "site/index.html", "site/files.txt"),
    }


def test_boards_of_few_records_show_a_hundred_rows_of_a_section_large_ones_ten():
    assert [part.rows_shown(n) for n in (1, 5000, 5001, 100_000)] == [100, 100, 10, 10]


def test_the_page_of_a_thing_says_how_many_rows_it_leaves_out(results, monkeypatch):
    monkeypatch.setattr(things, "MOST_ROWS", 1)
    build(results)
    page = Page.of(results / "v1" / "site" / "architectures" / "xception.html")
    assert len(page.tables[0].rows) == 1
    assert "1 more row in table.csv" in page.text


def test_every_number_is_in_the_table_whatever_part_it_is_of(results):
    build(results)
    table = pd.read_csv(results / "v1" / "table.csv")
    runs = table[table["kind"] == "run"]
    assert sorted(runs["run_ids"]) == ["r1", "r2", "r3"]
    pd.testing.assert_frame_equal(
        pd.read_parquet(results / "v1" / "table.parquet")[["macro_auc"]], table[["macro_auc"]]
    )
