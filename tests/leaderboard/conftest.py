"""Boards are built a hundred times here, and each draws what others reported, always the same."""

import pytest

from benchmark.leaderboard import drawings
from benchmark.leaderboard.columns import COLUMNS


@pytest.fixture(scope="session", autouse=True)
def _reported_pictures_are_drawn_once():
    """The pictures of the reported section, drawn by the first build and copied by the others."""
    drawn: dict[str, bytes] = {}

    def once(key, draw, of, target):
        if key not in drawn:
            draw(of, target)
            drawn[key] = target.read_bytes()
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(drawn[key])

    def bars(section, target):
        if (section[COLUMNS.kind] == "reported").all():
            once(section.to_csv(), really["bars"], section, target)
        else:
            really["bars"](section, target)

    def draw_tradeoff(tradeoff, target):
        if tradeoff.heading.startswith("Reported: "):
            once(repr(tradeoff), really["draw_tradeoff"], tradeoff, target)
        else:
            really["draw_tradeoff"](tradeoff, target)

    really = {"bars": drawings.bars, "draw_tradeoff": drawings.draw_tradeoff}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(drawings, "bars", bars)
        patched.setattr(drawings, "draw_tradeoff", draw_tradeoff)
        yield
