"""The rows of a table as HTML. A template would say the same in most of the time of a build."""

from typing import Any

from markupsafe import Markup, escape

from benchmark.common.wording import plain
from benchmark.leaderboard.site.grid import Cell, Column, Table, Whisker

# The longest text that is kept on one line.
_SHORT = 20


def body(table: Table, root: str) -> Markup:
    """The bodies of a table, one per group. All text of cells is escaped.

    Args:
        table: what is shown.
        root: from the page to the site's folder.
    """
    lines = []
    for group in table.groups:
        lines.append(f'<tbody class="{group.kind}">')
        for row in group.rows:
            cells = zip(table.columns, row, strict=True)
            lines += ["<tr>", *(_cell(column, cell, root) for column, cell in cells), "</tr>"]
        lines.append("</tbody>")
    return Markup("\n".join(lines))


def shown(text: str) -> str:
    """Text, escaped, without control characters, some of which turn what follows around."""
    return str(escape(text if text.isprintable() else plain(text)))


def _cell(column: Column[Any], cell: Cell, root: str) -> str:
    element = 'th scope="row"' if column.names else "td"
    if column.number:
        element += ' class="number"'
    elif len(cell.text) <= _SHORT:
        element += ' class="short"'
    if cell.order is not None:
        element += f' data-order="{cell.order}"'
    return f"<{element}>{_content(cell, root).strip()}</{element[:2]}>"


def _content(cell: Cell, root: str) -> str:
    text = shown(cell.text)
    if cell.page:
        text = f'<a href="{root}{escape(cell.page)}">{text}</a>'
    if cell.whisker:
        text = f"{_drawn(cell.whisker)}{text}"
    if cell.note:
        text += f"<small>{shown(cell.note)}</small>"
    if cell.more:
        links = "".join(
            f'<a href="{root}{escape(page)}" aria-label="{shown(aloud)}">{shown(told)}</a> '
            for told, aloud, page in cell.more
        )
        text += f'<small class="more">{links}</small>'
    return text


def _drawn(whisker: Whisker) -> str:
    return (
        '<svg class="whisker" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">'
        f'<line x1="{whisker.low}" x2="{whisker.high}" y1="4" y2="4"/>'
        f'<line class="mean" x1="{whisker.value}" x2="{whisker.value}" y1="0" y2="8"/></svg>'
    )
