"""Rows of text as a table in the page, with nothing in them read as HTML."""

from __future__ import annotations

import html
from collections.abc import Sequence

_CELL = "padding: 1px 8px; text-align: {}; white-space: {}; vertical-align: top"


def table_html(
    header: Sequence[str], rows: Sequence[Sequence[str]], aligned: str, *, caption: str = "", bold: int | None = None
) -> str:
    """A table.

    Args:
        header: The name of each column.
        rows: The cells of each row, one a column.
        aligned: "l" or "r" for each column; "w" for one aligned left, whose long text is broken into lines.
        caption: What the table shows; screen readers read it first.
        bold: A column to set off, or None.
    """
    styles = [_CELL.format("right" if a == "r" else "left", "normal" if a == "w" else "nowrap") for a in aligned]

    def cell(tag: str, column: int, text: str) -> str:
        weight = "; font-weight: bold" if column == bold and tag == "td" else ""
        scope = ' scope="col"' if tag == "th" else ""
        return f'<{tag}{scope} style="{styles[column]}{weight}">{html.escape(text)}</{tag}>'

    def line(tag: str, cells: Sequence[str]) -> str:
        return f"<tr>{''.join(cell(tag, column, text) for column, text in enumerate(cells))}</tr>"

    above = f'<caption style="text-align: left">{html.escape(caption)}</caption>' if caption else ""
    body = "".join(line("td", row) for row in rows)
    return (
        f'<div style="overflow-x: auto"><table style="line-height: 1.4; border-collapse: collapse">{above}'
        f"<thead>{line('th', header)}</thead><tbody>{body}</tbody></table></div>"
    )
