"""One is one: what counts things in words."""

import pytest

from benchmark.wording import counted


@pytest.mark.parametrize(
    ("count", "told"),
    [(0, "0 epochs"), (1, "1 epoch"), (2, "2 epochs"), ("1,204", "1,204 epochs")],
)
def test_one_has_no_plural(count, told):
    assert counted(count, "epoch") == told
