"""What stands in the cells of a table that a widget shows."""

import html
import re


def rows_of(table: str) -> list[list[str]]:
    """The text of each cell of each row of the body."""
    body = re.search("<tbody>(.*)</tbody>", table).group(1)
    rows = re.findall("<tr>(.*?)</tr>", body)
    return [[html.unescape(cell) for cell in re.findall("<td[^>]*>(.*?)</td>", row)] for row in rows]
