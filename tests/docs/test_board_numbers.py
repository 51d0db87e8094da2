"""The numbers of the board on the front page are those of its table."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from board_tables import TABLES, markdown
from documents import ROOT


@pytest.mark.parametrize("name", TABLES)
def test_the_front_page_has_the_table_that_the_board_gives(name):
    table = TABLES[name]
    page = (ROOT / "README.md").read_text("utf-8")
    section = page.partition(f"\n## {table.section}\n")[2].partition("\n## ")[0]
    expected = markdown(table)
    assert len(expected.splitlines()) > 3
    assert expected in section, f"the section {table.section!r} should have\n\n{expected}\n"
