"""Documents from the cells of one column of a table: CSV, TSV or JSON lines.

CSV is read by RFC 4180: quotes may enclose separators and line ends. TSV has no quotes, as its registration
(IANA text/tab-separated-values) says: a stray quotation mark, common in text, means itself. The first row of
both names the columns; a column given by number (from 1) is taken where no row of names is expected.
"""

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from seqgen.data.sources import Skipped, Source
from seqgen.errors import ConfigError

_LONGEST_CELL = 1 << 30

OnSkip = Callable[[Skipped], None]


def table_cells(chunks: Iterable[str], source: Source, column: str | None, on_skip: OnSkip) -> Iterator[str]:
    """Yield the cells of a column, top to bottom.

    Args:
        chunks: The text of the table.
        source: Where it comes from; its kind is `csv`, `tsv` or `jsonl`.
        column: The name of the column, or its number from 1; may be left out where there is only one.
        on_skip: Called for every row that has no such cell.

    Raises:
        ConfigError: If there is no such column, naming those there are.
    """
    lines = _lines(chunks)
    if source.kind == "jsonl":
        return _json_cells(lines, source, column, on_skip)
    return _row_cells(lines, source, column, on_skip)


def _lines(chunks: Iterable[str]) -> Iterator[str]:
    held = ""
    for chunk in chunks:
        *lines, held = (held + chunk).split("\n")
        yield from (line + "\n" for line in lines)
    if held:
        yield held


def _row_cells(lines: Iterator[str], source: Source, column: str | None, on_skip: OnSkip) -> Iterator[str]:
    place: int | None = None
    for row, _ in _rows(lines, source, on_skip):
        if place is None:
            place, is_header = _find_column(row, source, column)
            if is_header:
                continue
        yield row[place]


def table_rows(text: str, source: Source, on_skip: OnSkip) -> Iterator[tuple[list[str], int]]:
    """Yield the rows of a CSV or TSV table, a first one of names included, and the line each ends on.

    Args:
        text: All of the table.
        source: Where it comes from; its kind is `csv` or `tsv`.
        on_skip: Called for every row that has more or fewer cells than the first.
    """
    return _rows(_lines([text]), source, on_skip)


def _rows(lines: Iterator[str], source: Source, on_skip: OnSkip) -> Iterator[tuple[list[str], int]]:
    csv.field_size_limit(_LONGEST_CELL)
    if source.kind == "csv":
        reader = csv.reader(lines, strict=True)
    else:
        reader = csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
    width: int | None = None
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            on_skip(Skipped(source.name, f"not a row of CSV ({error})", f"line {reader.line_num}"))
            continue
        if not row:
            continue
        width = len(row) if width is None else width
        if len(row) != width:
            reason = f"{len(row)} cell{'s' * (len(row) != 1)}, where the first row has {width}"
            on_skip(Skipped(source.name, reason, f"line {reader.line_num}"))
        else:
            yield row, reader.line_num


def _find_column(row: list[str], source: Source, column: str | None) -> tuple[int, bool]:
    """Return the place of the column, and whether this first row only names the columns."""
    if column is None:
        if len(row) == 1:
            return 0, True
        raise ConfigError(f"{source.name}: which column? give --column, one of: {', '.join(row)}")
    if column.isdecimal() and 1 <= int(column) <= len(row):
        return int(column) - 1, False
    if column in row:
        return row.index(column), True
    known = f"its columns are {', '.join(row)}; 1 to {len(row)} choose by place, in a table without names"
    raise ConfigError(f"{source.name}: no column {column}; {known}")


def _json_cells(lines: Iterator[str], source: Source, column: str | None, on_skip: OnSkip) -> Iterator[str]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            value = _json_cell(json.loads(line), source, column)
            value.encode()
        except UnicodeEncodeError:
            on_skip(Skipped(source.name, "holds half a surrogate pair", f"line {number}"))
        except ValueError as error:
            reason = f"not JSON ({error})" if isinstance(error, json.JSONDecodeError) else str(error)
            on_skip(Skipped(source.name, reason, f"line {number}"))
        else:
            yield value


def _json_cell(record: Any, source: Source, column: str | None) -> str:
    if isinstance(record, dict):
        texts = [key for key, value in record.items() if isinstance(value, str)]
        if column is None and len(texts) != 1:
            raise ConfigError(f"{source.name}: which column? give --column, one of: {', '.join(record)}")
        key = texts[0] if column is None else column
        if key not in record:
            raise ValueError(f"no {key}; its keys are {', '.join(record)}")
        record = record[key]
    if not isinstance(record, str):
        raise ValueError(f"a text was expected, not {type(record).__name__}")
    return record
