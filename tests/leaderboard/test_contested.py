"""Notes of doubt: strictly read, shown at the row and on the record's page, and never markup."""

import json
import sys
from datetime import UTC, date, datetime
from pathlib import Path

import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).parent))

import site_made
from pages_read import pages_of

from benchmark.cli import main
from benchmark.errors import UserError
from benchmark.leaderboard import build
from benchmark.leaderboard.contested import contested, folder, note, withdraw

HOSTILE = "</script><script>alert(1)</script> | ![x](javascript:y) `$z$` *b* {{ 7 * 7 }}"
DAY = date(2026, 3, 1)
LINK = "https://example.org/a_b(1)"


def _contest(results, *arguments):
    return main(["contest", *arguments, "--out", str(results)])


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A row of two seeds, one contested twice, by a hostile note; a row that nobody contests."""
    results = tmp_path_factory.mktemp("results")
    site_made.save(
        results,
        *(site_made.a_record(f"r{seed}", 0.9, seed=seed) for seed in (1, 2)),
        site_made.a_record("r3", 0.8, arch="VGG16"),
    )
    note("r2", HOSTILE, HOSTILE, LINK, DAY).write(results)
    assert not _contest(results, "r2", "--why", "=1+1", "--by", "=B", "--date", "2026-02-01")
    assert build(results).problems == ()
    return results


def _rows(results):
    table = pd.read_csv(results / "v1" / "table.csv", keep_default_na=False)
    return table[table["kind"] == "run"].set_index("arch")


def test_a_contested_row_keeps_its_rank_and_says_so_in_the_table(results):
    rows = _rows(results)
    assert rows["rank"].tolist() == ["1", "2"]
    assert rows.loc["VGG16", "contested"] == ""
    told = rows.loc["Xception", "contested"]
    assert told.startswith("r2, contested by =B on 2026-02-01: =1+1 | r2, contested by ")
    assert told.endswith(f"{HOSTILE} {LINK}")


def test_the_page_has_a_mark_at_the_row_and_footnotes_below_the_table(results):
    text = (results / "v1" / "leaderboard.md").read_text()
    (row,) = [line for line in text.splitlines() if "Xception (contested: note 1)" in line]
    notes = [line for line in text.splitlines() if line.startswith("Note 1: r2, contested by")]
    assert len(notes) == 2
    assert text.index(row) < text.index(notes[0]) < text.index(notes[1])
    assert notes[1].endswith(f" <{LINK}>")
    assert "<script>" not in text
    assert "![x]" not in text.replace("\\!", "").replace("\\[", "")


def test_the_site_shows_notes_at_the_row_and_on_the_page_of_their_record(results):
    site = pages_of(results / "v1" / "site")
    index = site["index.html"]
    (shown,) = [row[1] for row in index.tables[0].rows if "Xception" in row[1]]
    assert shown == "Xception contested: note 1"
    for page in (index, site["records/r2.html"]):
        assert HOSTILE in page.text
        assert LINK in page.links
    assert "contested by" not in site["records/r1.html"].text
    assert "contested by" not in site["records/r3.html"].text
    for name, page in site.items():
        assert "alert(" not in "".join(page.scripts), name
        assert page.handlers == [], name
        assert all(link.startswith("https://") or ":" not in link for link in page.links), name


@pytest.fixture
def one(tmp_path):
    """Results with the record r1, and no note."""
    site_made.save(tmp_path, site_made.a_record("r1"))
    return tmp_path


def test_the_command_writes_todays_note_and_withdraws_it(one, capsys):
    assert _contest(one, "r", "--why", "It leaks", "--by", "A. Reader") == 0
    (file,) = folder(one).iterdir()
    assert str(file) in capsys.readouterr().out
    told = json.loads(file.read_text())
    today = datetime.now(UTC).date()
    assert (today - date.fromisoformat(told["date"])).days in (0, 1)
    assert told["record"] == "r1"
    assert _contest(one, "r1", "--withdraw") == 0
    assert not list(folder(one).iterdir())


def test_of_several_notes_the_author_says_which_is_withdrawn(one, capsys):
    for by in ("A", "B"):
        note("r1", "why", by, "", DAY).write(one)
    assert _contest(one, "r1", "--withdraw") == 1
    assert "2 notes on 'r1'" in capsys.readouterr().err
    assert _contest(one, "r1", "--withdraw", "--by", "A") == 0
    (left,) = contested(one, {"r1"}).notes["r1"]
    assert left.by == "B"
    assert _contest(one, "r1", "--withdraw", "--by", "A") == 1
    assert "no note on 'r1' by 'A'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("r9", "--why", "w", "--by", "b"), "no record 'r9'"),
        (("r1", "--by", "b"), "say --why"),
        (("r1", "--why", "w"), "say --by"),
        (("r1", "--why", " ", "--by", "b"), "--why: it should not be empty"),
        (("r1", "--why", "a\nb", "--by", "b"), "--why: U+000A is no part of a line"),
        (("r1", "--why", "w", "--by", "b\u202e"), "--by: U+202E"),
        (("r1", "--why", "w" * 1001, "--by", "b"), "--why: "),
        (("r1", "--why", "w", "--by", "b", "--link", "javascript:x"), "--link: it should be an"),
    ],
)
def test_a_note_that_cannot_be_is_refused(one, capsys, arguments, told):
    assert _contest(one, *arguments) == 1
    assert told in capsys.readouterr().err
    assert not folder(one).exists()


def test_what_a_killed_process_was_writing_is_no_note(one):
    file = note("r1", "why", "A", "", DAY).write(one)
    file.with_name(f".{file.stem}-unfinished.json").write_text('{"note_ver')
    found = contested(one, {"r1"})
    assert found.problems == ()
    assert len(found.notes["r1"]) == 1


def test_a_note_on_nothing_is_named_by_the_build_and_can_be_withdrawn(one):
    path = note("r9", "why", "A", "", DAY).write(one)
    (problem,) = build(one).problems
    assert "there is no readable record or submission r9" in problem
    assert "contest r9 --withdraw" in problem
    assert _contest(one, "r9", "--withdraw") == 0
    assert not path.exists()


def _changed(field, value):
    return lambda told: told | {field: value}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (_changed("why", "other"), "was changed, its name should be r1-"),
        (_changed("why", "a\x1b[31m"), "U+001B"),
        (_changed("link", "javascript:alert(1)"), "it should be an address"),
        (_changed("note_version", 2), "field 'note_version'"),
        (_changed("record", "../r1"), "field 'record'"),
        (_changed("date", "yesterday"), "field 'date'"),
        (_changed("rank", 1), "unknown field 'rank'"),
        (lambda told: {}, "is missing"),
        (lambda told: [told], "the whole"),
    ],
)
def test_a_note_that_was_written_otherwise_is_named_and_shows_nothing(one, change, told):
    path = note("r1", "why", "A", "", DAY).write(one)
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    found = contested(one, {"r1"})
    assert not found.notes
    (problem,) = found.problems
    assert told in problem
    assert problem.isprintable()
    with pytest.raises(UserError):
        withdraw(one, "r1", None)
