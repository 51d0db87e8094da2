"""Tables as people read them."""

import pandas as pd
import pytest

from benchmark.errors import UserError
from benchmark.show import describe, listing, text_table


def test_fractions_have_three_decimals_and_missing_cells_a_dash():
    text = text_table(pd.DataFrame({"name": ["a", None], "mean": [1 / 3, 2.0], "n": [7, 8]}))
    assert text.splitlines()[2].split() == ["a", "0.333", "7"]
    assert text.splitlines()[3].split() == ["-", "2.000", "8"]


def test_long_text_is_wrapped():
    table = pd.DataFrame({"key": ["k"], "about": ["word " * 40]})
    assert max(len(line) for line in text_table(table, wrap=30).splitlines()) < 45


def test_every_listed_thing_can_be_described(tmp_path):
    for kind, table in listing("all", tmp_path).items():
        assert kind == "records" or len(table)
        for name in table.get("name", ()):
            assert len(describe(name, tmp_path))


def test_an_unknown_kind_is_refused(tmp_path):
    with pytest.raises(UserError, match="did you mean tasks"):
        listing("taks", tmp_path)
