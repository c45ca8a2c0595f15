"""The lecture's equations: each says where in the code it is computed, in the names that are used there."""

import ast
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "seqgen"
LECTURE = PACKAGE.parent / "docs" / "lecture.md"
PLACED = re.compile(r" {4}(?P<equation>\S.*?)  +# (?P<path>[a-z_/]+\.py): (?P<name>[A-Za-z_.]+)")
NAMES = re.compile(r"[^\W\d]\w+")
"""Of two letters or more; a, h and t are letters as on the blackboard."""
MATHEMATICS = {"abs", "argmax", "exp", "log", "max", "mean", "min", "sigmoid", "softmax", "sum", "tanh"}


def equations(text):
    """Return the indented lines of a page."""
    return re.findall(r"^ {4}.*$", re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S), flags=re.M)


LINES = equations(LECTURE.read_text(encoding="utf-8"))


def definition(path, name):
    """Return the syntax tree of a function or class, dots leading into classes; None if there is none."""
    node = ast.parse((PACKAGE / path).read_text(encoding="utf-8")) if (PACKAGE / path).is_file() else None
    for part in name.split("."):
        found = [child for child in getattr(node, "body", []) if getattr(child, "name", None) == part]
        node = found[0] if len(found) == 1 else None
    return node if isinstance(node, ast.FunctionDef | ast.ClassDef) else None


def unknown_names(line):
    """Return the names of an equation that its file does not use."""
    placed = PLACED.fullmatch(line)
    used = set(NAMES.findall((PACKAGE / placed["path"]).read_text(encoding="utf-8")))
    return set(NAMES.findall(placed["equation"].replace("ᵀ", ""))) - used - MATHEMATICS


def test_every_section_has_an_equation():
    sections = re.split(r"^## ", LECTURE.read_text(encoding="utf-8"), flags=re.M)[1:]
    assert len(sections) == 11
    assert [section.splitlines()[0] for section in sections if not equations(section)] == []


@pytest.mark.parametrize("line", LINES)
def test_an_equation_names_a_function_that_is_defined_and_uses_its_names(line):
    placed = PLACED.fullmatch(line)
    assert placed, "an equation ends in two blanks, '# file.py: name'"
    assert definition(placed["path"], placed["name"]), f"{placed['path']} defines no {placed['name']}"
    assert unknown_names(line) == set()


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("networks/unrolled.py", "_gone"),
        ("networks/gone.py", "_lstm"),
        ("networks/unrolled.py", "LayerStep._lstm"),
        ("networks/unrolled.py", "SATURATED"),
    ],
)
def test_a_place_that_is_gone_is_noticed(path, name):
    assert definition(path, name) is None


def test_places_within_classes_are_found():
    assert isinstance(definition("networks/attention.py", "Attention.scores"), ast.FunctionDef)


def test_a_name_that_the_code_does_not_use_is_noticed():
    line = "    remembered = forget · before.memory  # networks/unrolled.py: _lstm"
    assert unknown_names(line) == {"remembered"}
