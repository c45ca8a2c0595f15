"""Texts with labels: from tables, or from folders whose names are the labels.

    table     CSV, TSV or JSON lines with a column of texts and one of labels
    folder    FOLDER/label/anything.txt, every file one text

Which column is which is told by name or number, by usual names in the first row, or, of two columns, by their
content: labels are short and come again and again. Where that leaves a doubt, the user is asked.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from seqgen.config import Config
from seqgen.data.readers import read_text
from seqgen.data.sources import TABLE_KINDS, Skipped, Source, examine, kind_of, natural_key
from seqgen.data.tables import table_rows
from seqgen.errors import ConfigError, CorpusError
from seqgen.files import missing

Notify = Callable[[str], None]

_TEXT_NAMES = ("text", "sentence", "review", "document", "content", "phrase", "comment", "body")
_LABEL_NAMES = ("label", "class", "category", "sentiment", "target", "rating", "stars", "tag")
_LONGEST_LABEL = 40
"""Characters; what is longer is no label that two columns could be told apart by."""


class Example(NamedTuple):
    """A text, its label, and where it stands."""

    text: str
    label: str
    place: str


class _Row(NamedTuple):
    cells: list[str]
    line: int


def read_labelled(names: Sequence[str], config: Config, notify: Notify) -> list[Example]:
    """Read the labelled texts of files and folders, in their order.

    Args:
        names: Tables, or folders with one folder per label.
        config: Its `classify` section may name columns; `corpus.on_error` may allow to skip bad rows.
        notify: Called with one line on each choice made for the user, and on what is left out.

    Raises:
        CorpusError: If a file cannot be read, a row has too few or too many cells, or a label has no text.
        ConfigError: If a column does not exist, or it is not clear which one is meant.
    """
    examples: list[Example] = []
    for name in names:
        if not name:
            raise CorpusError("an empty name is no corpus; name a table or a folder")
        path = Path(name)
        if path.is_dir():
            examples += _read_folder(path, config)
            continue
        if not path.exists():
            raise CorpusError(missing(path, what="file or folder"))
        source = examine(path, named=True)
        if not isinstance(source, Source) or source.kind not in TABLE_KINDS:
            raise CorpusError(
                f"{name}: no table; give a .tsv, .csv or .jsonl, or a folder with a folder for each label"
            )
        examples += _read_table(source, config, notify)
    if not examples:
        raise CorpusError(f"{', '.join(names)}: no example in it")
    return examples


def _read_folder(folder: Path, config: Config) -> Iterator[Example]:
    labels = [entry for entry in sorted(folder.iterdir(), key=natural_key) if entry.is_dir()]
    labels = [entry for entry in labels if not entry.name.startswith(".")]
    if not labels:
        raise CorpusError(f"{folder}: holds no folders; expected one per label, with a file per text")
    for label in labels:
        files = [path for path in sorted(label.rglob("*"), key=natural_key) if path.is_file()]
        texts = [path for path in files if not path.name.startswith(".")]
        if not texts:
            raise CorpusError(f"{label}: an empty class, no file in it; add some or remove the folder")
        for path in texts:
            source = examine(path, named=True)
            if isinstance(source, Source):
                yield Example(read_text(source.path, config.corpus.encoding).strip(), label.name, str(path))


def is_table(path: Path) -> bool:
    """Tell whether a file holds rows, by its name."""
    return kind_of(path) in TABLE_KINDS


def read_texts(path: Path, config: Config, notify: Notify, *, column: str | None = None) -> list[str]:
    """Read the texts of a table that is to be labelled, in their order.

    Args:
        path: A table; it may have labels, which are not read.
        config: Of the classifier: where its texts were, and its labels, by which their column is known.
        notify: Called with one line on the column that was chosen, and on what is left out.
        column: The column of the texts, by name or number.

    Raises:
        CorpusError: If the file cannot be read, or a row has too few or too many cells.
        ConfigError: If the column does not exist, or it is not clear which one is meant.
    """
    source = examine(path, named=True)
    if not isinstance(source, Source):
        raise ValueError("a file that is named is a source, or an error")
    rows, names = _rows(source, config, _skipping(source, config, notify))
    first = [cell.strip().lower() for cell in rows[0].cells] if rows else []
    if names is None and (column in first or set(first) & set(_TEXT_NAMES)):
        names, rows = rows[0].cells, rows[1:]
    width = len(names or first)
    wanted = column or config.classify.text_column
    if wanted is not None:
        return [row.cells[_place(wanted, names, width, source.name, "--column")] for row in rows]
    place = _usual(names, _TEXT_NAMES)
    if place is None:
        labels = set(config.classify.labels)
        place = _only(k for k in range(width) if not _holds(rows, k, labels))
    if place is None:
        raise ConfigError(f"{source.name}: which column is the text? give --column; {_known(names, width)}")
    notify(f"{source.name}: texts are in column {names[place] if names else place + 1}")
    return [row.cells[place].strip() for row in rows]


def _skipping(source: Source, config: Config, notify: Notify) -> Callable[[Skipped], None]:
    """Return what is done with a row that cannot be read."""

    def skip(skipped: Skipped) -> None:
        if config.corpus.on_error != "skip":
            place = skipped.place.removeprefix("line ")
            raise CorpusError(
                f"{source.name}:{place}: {skipped.reason}; mend it, or leave out such rows: --on-error skip"
            )
        notify(f"left out {skipped}")

    return skip


def _rows(
    source: Source, config: Config, skip: Callable[[Skipped], None]
) -> tuple[list[_Row], list[str] | None]:
    """Return the rows of a table, and the names of its columns where they are no row."""
    text = read_text(source.path, config.corpus.encoding)
    if source.kind == "jsonl":
        return _json_rows(text, skip)
    return [_Row(*row) for row in table_rows(text, source, skip)], None


def _read_table(source: Source, config: Config, notify: Notify) -> Iterator[Example]:
    skip = _skipping(source, config, notify)
    rows, header = _rows(source, config, skip)
    columns = _Columns(source, config, notify, rows, header)
    for row in columns.rows:
        label = row.cells[columns.label].strip()
        if not label:
            skip(Skipped(source.name, "the label is empty", f"line {row.line}"))
            continue
        yield Example(row.cells[columns.text].strip(), label, f"{source.name}:{row.line}")


def _json_rows(text: str, skip: Callable[[Skipped], None]) -> tuple[list[_Row], list[str] | None]:
    """Return the values of JSON lines as cells in the order of the first line's keys, and those keys."""
    header: list[str] | None = None
    rows = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        place = f"line {number}"
        try:
            record = json.loads(line)
        except ValueError as error:
            skip(Skipped("", f"not JSON ({error})", place))
            continue
        if not isinstance(record, dict):
            skip(Skipped("", f"an object was expected, not {type(record).__name__}", place))
            continue
        header = header or list(record)
        missing = [key for key in header if key not in record]
        if missing:
            skip(Skipped("", f"no {missing[0]}, which the first line has", place))
            continue
        rows.append(_Row([_cell(record[key]) for key in header], number))
    return rows, header


def _cell(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


class _Columns:
    """Which columns of a table hold texts and labels, and the rows below its names."""

    def __init__(
        self, source: Source, config: Config, notify: Notify, rows: list[_Row], header: list[str] | None
    ) -> None:
        self.name, self.rows = source.name, rows
        wanted = {"text": config.classify.text_column, "label": config.classify.label_column}
        if header is None and rows and _is_header(rows[0].cells, wanted):
            header, self.rows = rows[0].cells, rows[1:]
        self.names, self.known_labels = header, set(config.classify.labels)
        self.width = len(header) if header else len(rows[0].cells) if rows else 2
        found = {
            kind: None if name is None else _place(name, header, self.width, self.name, f"--{kind}-column")
            for kind, name in wanted.items()
        }
        if None in found.values():
            found = self._guess(found)
            if self.rows:
                notify(
                    f"{self.name}: texts are in column {self._called(found['text'])}, "
                    f"labels in column {self._called(found['label'])}"
                )
        text, label = found["text"], found["label"]
        if text is None or label is None or text == label:
            known = _known(self.names, self.width)
            raise ConfigError(f"{self.name}: texts and labels cannot be in the same column; {known}")
        self.text, self.label = text, label

    def _guess(self, found: dict[str, int | None]) -> dict[str, int | None]:
        """Find the column that was not given: by its usual names, else as the other one of two."""
        usual = {"text": _TEXT_NAMES, "label": _LABEL_NAMES}
        for kind, names in usual.items():
            if found[kind] is None:
                found[kind] = _usual(self.names, names)
        if found["label"] is None:
            found["label"] = _only(k for k in range(self.width) if _holds(self.rows, k, self.known_labels))
        if self.width == 2 and found["label"] is None and found["text"] is None:
            labels = [column for column in (0, 1) if _looks_like_labels([r.cells[column] for r in self.rows])]
            found["label"] = _only(labels)
        if self.width == 2:
            for kind, other in (("text", "label"), ("label", "text")):
                known = found[other]
                if found[kind] is None and known is not None:
                    found[kind] = 1 - known
        for kind, column in found.items():
            if column is None:
                columns = _known(self.names, self.width)
                raise ConfigError(f"{self.name}: which column is the {kind}? give --{kind}-column; {columns}")
        return found

    def _called(self, column: int | None) -> str:
        return str((column or 0) + 1) if self.names is None else self.names[column or 0]


def _place(wanted: str, names: list[str] | None, width: int, source: str, option: str) -> int:
    """Return the place of a column that was given by name or number."""
    if names and wanted in names:
        return names.index(wanted)
    if wanted.isdecimal() and 1 <= int(wanted) <= width:
        return int(wanted) - 1
    raise ConfigError(f"{source}: no column {wanted} for {option}; {_known(names, width)}")


def _only(places: Iterable[int]) -> int | None:
    """Return the one place there is; None if there is none, or more than one."""
    found = list(places)
    return found[0] if len(found) == 1 else None


def _holds(rows: list[_Row], place: int, labels: set[str]) -> bool:
    """Tell whether a column holds nothing but labels that are known."""
    return {row.cells[place].strip() for row in rows} <= labels


def _usual(names: list[str] | None, usual: Sequence[str]) -> int | None:
    """Return the place of the first of some usual names."""
    lowered = [name.lower() for name in names or []]
    return next((lowered.index(name) for name in usual if name in lowered), None)


def _known(names: list[str] | None, width: int) -> str:
    if names:
        return f"its columns are {', '.join(names)}"
    return f"it has {width} columns, 1 to {width}, and no row of names"


def _is_header(cells: list[str], wanted: dict[str, str | None]) -> bool:
    """Tell whether a first row names the columns."""
    lowered = {cell.strip().lower() for cell in cells}
    by_name = [name for name in wanted.values() if name is not None and not name.isdecimal()]
    if by_name:
        return True
    return bool(lowered & set(_TEXT_NAMES)) and bool(lowered & set(_LABEL_NAMES))


def _looks_like_labels(cells: list[str]) -> bool:
    """Tell whether cells are short and no more than half of them are new."""
    return 2 * len(set(cells)) <= len(cells) and max(map(len, cells), default=0) <= _LONGEST_LABEL
