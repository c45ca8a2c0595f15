"""The house plan in two rules: imports point down, and starting up is light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "seqgen"
LAYERS = [
    {"errors", "files"},
    {"config"},
    {"runtime"},
    {"kernels", "music"},
    {"data", "networks"},
    {"artifacts"},
    {"evaluation", "sampling"},
    {"training", "inspection", "report"},
    {"cli"},
]
HEIGHT = {name: height for height, layer in enumerate(LAYERS) for name in layer}
HEAVY = {
    "torch",
    "numba",
    "music21",
    "miditok",
    "tokenizers",
    "numpy",
    "symusic",
    "sentencepiece",
    "sacrebleu",
    "matplotlib",
}


def folder(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path):
    """Yield the top-level names below seqgen that a module imports, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module] if node.module != "seqgen" else [f"seqgen.{a.name}" for a in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            first, _, rest = name.partition(".")
            if first == "seqgen" and rest.split(".")[0] in HEIGHT:
                yield rest.split(".")[0]


def test_imports_point_down_and_siblings_never_meet():
    modules = [path for path in PACKAGE.rglob("*.py") if not path.name.startswith("__")]
    assert len(modules) > 20
    wrong = [
        f"{path.relative_to(PACKAGE)} imports {name}"
        for path in modules
        for name in imported(path)
        if name != folder(path) and HEIGHT[name] >= HEIGHT[folder(path)]
    ]
    assert wrong == []


def test_only_the_command_line_prints():
    assert [
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        if folder(path) != "cli"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ] == []


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["--version"]])
def test_help_imports_nothing_heavy(arguments):
    script = (
        "import sys\n"
        "from seqgen.cli.app import run\n"
        f"code = run({arguments})\n"
        f"print(code, sorted(set(sys.modules) & {HEAVY}), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "0 []"
    assert done.stdout
