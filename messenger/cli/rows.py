"""Long lists: for people in columns, for scripts one JSON object a line. Printed while they are read."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import click

from .. import visible

#: As many rows are looked at for how wide a column must be; a column never gets narrower again.
ROWS = 500
#: What a cell shows at most: no address and nothing in the audit is longer.
CELL_CHARACTERS = 300

# One for all lines: json.dumps would make one for each.
_ENCODER = json.JSONEncoder(ensure_ascii=False)

lines_option = click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for scripts.")


def moment(seconds: int) -> str:
    """Unix *seconds* in ISO 8601, UTC."""
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None).isoformat() + "Z"


def moment_or_none(seconds: int) -> str | None:
    return moment(seconds) if seconds else None


def print_lines(values: Iterable[Mapping[str, Any]]) -> None:
    # Not click.echo, which flushes each: a million lines would take minutes.
    for value in values:
        sys.stdout.write(_ENCODER.encode(value) + "\n")
    sys.stdout.flush()


def print_columns(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print *rows* below *head*; what is empty becomes "-"."""
    widths = [0] * len(head)
    left = iter(rows)
    page: list[Sequence[str]] = [head, *islice(left, ROWS)]
    while page:
        cells = [[visible.line(cell, CELL_CHARACTERS) or "-" for cell in row] for row in page]
        widths = [max(column) for column in zip(widths, *(map(len, row) for row in cells), strict=True)]
        for row in cells:
            line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            sys.stdout.write(line.rstrip() + "\n")
        sys.stdout.flush()
        page = list(islice(left, ROWS))
