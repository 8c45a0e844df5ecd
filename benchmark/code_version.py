"""A digest of the source files that a model is made of."""

from __future__ import annotations

import ast
import hashlib
import sys
from functools import cache
from importlib.util import resolve_name
from pathlib import Path

from models.recommender import Recommender

LIBRARY = ("models", "baselines")
"""Packages whose modules count, beside those in the folder of a plug-in."""


def code_version(model: type[Recommender]) -> str:
    """A digest of the source files that a model is made of: its own and those they import.

    Editing a baseline makes its own stored runs stale, and those of models built on it.
    """
    home = model.__module__.partition(".")[0]  # one of LIBRARY, or a folder of plug-ins
    names, seen = [model.__module__], set[str]()
    sources = hashlib.sha256()
    while names:
        name = names.pop()
        ours = name.partition(".")[0] in (*LIBRARY, home)
        if ours and name in sys.modules and name not in seen:
            seen.add(name)
            source = Path(str(sys.modules[name].__file__)).read_bytes()
            sources.update(source)
            names += imported(source, name)
    return sources.hexdigest()[:12]


@cache
def imported(source: bytes, name: str) -> list[str]:
    """What a module imports: every name that may be another module's."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            relative = "." * node.level + (node.module or "")
            origin = resolve_name(relative, name.rpartition(".")[0])
            found += [origin, *(f"{origin}.{alias.name}" for alias in node.names)]
    return found
