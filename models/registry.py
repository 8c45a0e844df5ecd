"""Recommenders by name: declared with a decorator, found by folder."""

from __future__ import annotations

import importlib.util
import re
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from models.errors import UsageError
from models.recommender import Recommender

Class = TypeVar("Class", bound=type[Recommender])

_REGISTRY: dict[str, type[Recommender]] = {}
_LABELS: dict[str, str] = {}
_FAMILIES: dict[str, Callable[[str], type[Recommender]]] = {}


def register(name: str, label: str | None = None) -> Callable[[Class], Class]:
    """Class decorator that makes a recommender known to the command line, tests and tables.

    Args:
        name: What users type, lower case.
        label: What tables print (default: the class name).
    """

    def decorate(cls: Class) -> Class:
        known = _REGISTRY.get(name, cls)
        if (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
            raise UsageError(f"two recommenders are registered as '{name}': rename one of them")
        shown = label or cls.__name__
        if shown in (other for known, other in _LABELS.items() if known != name):
            raise UsageError(f"two recommenders are labelled '{shown}': rename one of them")
        _REGISTRY[name] = cls
        _LABELS[name] = shown
        return cls

    return decorate


def register_family(prefix: str, find: Callable[[str], type[Recommender]]) -> None:
    """Make ``prefix:member`` a name for every class that ``find(member)`` returns."""
    _FAMILIES[prefix] = find


def discover(folder: Path) -> None:
    """Import every module in ``folder`` so that its recommenders register themselves.

    Raises:
        UsageError: If the folder is missing or a module fails to import; the message names the
            file, the line and the reason.
    """
    if not folder.is_dir():
        raise UsageError(f"plug-in folder '{folder}' does not exist")
    folder = folder.resolve()  # tracebacks hold absolute paths
    is_package = (folder / "__init__.py").exists()
    package = folder.name if is_package else re.sub(r"\W", "_", str(folder))
    for path in sorted(folder.glob("*.py")):
        name = f"{package}.{path.stem}"
        if path.stem == "__init__" or name in sys.modules:
            continue
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None:
            continue
        sys.modules[name] = loaded = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(loaded)
        except Exception as error:
            del sys.modules[name]
            trace = traceback.extract_tb(error.__traceback__)
            lines = [frame.lineno for frame in trace if frame.filename == str(path)]
            # a file that does not compile never ran, so it is not in the trace
            line = lines[-1] if lines else getattr(error, "lineno", None)
            raise UsageError(
                f"plug-in '{path}', line {line}: {type(error).__name__}: {error}"
            ) from error


def registered() -> dict[str, type[Recommender]]:
    """All known recommenders by name."""
    return dict(_REGISTRY)


def label(name: str) -> str:
    """What tables print for a registered name."""
    return _LABELS.get(name, name)


def model_class(name: str) -> type[Recommender]:
    """The recommender registered under a name.

    Raises:
        UsageError: If there is none.
    """
    prefix, _, member = name.partition(":")
    if name not in _REGISTRY and prefix in _FAMILIES:
        return _FAMILIES[prefix](member)
    if name not in _REGISTRY:
        names = [*sorted(_REGISTRY), *(f"{prefix}:..." for prefix in sorted(_FAMILIES))]
        raise UsageError(f"unknown model '{name}': choose from {', '.join(names)}")
    return _REGISTRY[name]


def create(name: str, **hyper_parameters: Any) -> Recommender:
    """Make a recommender by name.

    Raises:
        UsageError: If the name or a hyper-parameter is unknown.
    """
    cls = model_class(name)
    unknown = sorted(set(hyper_parameters) - set(cls.defaults()))
    if unknown:
        raise UsageError(
            f"model '{name}' has no hyper-parameter '{unknown[0]}': "
            f"choose from {', '.join(cls.defaults())}"
        )
    for option, choices in _choices(cls).items():
        if option in hyper_parameters and hyper_parameters[option] not in choices:
            raise UsageError(
                f"model '{name}' has no {option} '{hyper_parameters[option]}': "
                f"choose from {', '.join(map(str, choices))}"
            )
    return cls(**hyper_parameters)


def _choices(cls: type[Recommender]) -> dict[str, tuple[Any, ...]]:
    """The values of the hyper-parameters that are annotated as ``Literal``."""
    found: dict[str, tuple[Any, ...]] = {}
    for base in reversed(cls.__mro__):
        if "__init__" in vars(base) and issubclass(base, Recommender):
            for option, hint in get_type_hints(base.__init__).items():
                if get_origin(hint) is Literal:
                    found[option] = get_args(hint)
    return found
