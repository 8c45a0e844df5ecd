"""Imports go one way: models <- baselines, models <- benchmark."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ALLOWED = {
    "models": {"models"},
    "baselines": {"models", "baselines"},
    "benchmark": {"models", "benchmark"},
}
SOURCES = sorted(
    path.relative_to(ROOT) for folder in ALLOWED for path in (ROOT / folder).rglob("*.py")
)


def imported(source: str, package: str) -> set[str]:
    """Top-level names of all modules that ``source``, a module of ``package``, imports."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(package if node.level else (node.module or "").split(".")[0])
    return found


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_imports_go_one_way(path: Path) -> None:
    package = path.parts[0]
    ours = imported((ROOT / path).read_text(encoding="utf-8"), package) & ALLOWED.keys()
    assert ours <= ALLOWED[package]


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_no_star_imports(path: Path) -> None:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert "*" not in {alias.name for node in imports for alias in node.names}


def test_every_form_of_import_is_seen() -> None:
    source = "import a.b as x\nfrom c.d import e\nfrom . import f\ndef g():\n    import h, i.j\n"
    assert imported(source, "own") == {"a", "c", "own", "h", "i"}
