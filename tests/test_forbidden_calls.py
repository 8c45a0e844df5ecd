"""Nothing in the program runs what a file or a user says, but for what is named here."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted(
    path.relative_to(ROOT)
    for folder in ("models", "baselines", "benchmark")
    for path in (ROOT / folder).rglob("*.py")
)
MODULES = {
    "pickle", "cPickle", "dill", "cloudpickle", "shelve", "marshal", "code", "codeop", "commands",
    "xml", "lxml", "telnetlib", "ftplib", "pty", "runpy",
}  # fmt: skip
CALLS = {
    "eval", "exec", "compile", "__import__", "os.system", "os.popen", "os.execv", "os.spawnl",
    "exec_module", "pickle.load", "pickle.loads", "joblib.load", "read_pickle", "literal_eval",
    "yaml.load", "yaml.unsafe_load", "yaml.full_load", "extractall", "unpack_archive", "mktemp",
    "subprocess.run", "subprocess.Popen", "subprocess.call", "subprocess.check_output",
}  # fmt: skip
EXCEPTIONS = {
    ("models/registry.py", "exec_module"): "plug-ins: files that the user says are programs",
    ("baselines/recbole_models.py", "yaml.load"): "with a SafeLoader, of RecBole's own files",
    ("benchmark/machine.py", "subprocess.run"): "git, for the commit; a list, no shell",
    ("benchmark/speed/trials.py", "subprocess.Popen"): "Python itself, with a worker of ours",
    ("benchmark/speed/operations.py", "subprocess.run"): "Python itself, to time its start",
    (
        "benchmark/datasets/object_arrays.py",
        "import pickle",
    ): "an interpreter that looks up nothing",
}


def found(source: str) -> set[str]:
    """What of the lists above a module does."""
    tree, names = ast.parse(source), set[str]()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {f"import {alias.name}" for alias in node.names if root(alias.name) in MODULES}
        elif isinstance(node, ast.ImportFrom) and root(node.module or "") in MODULES:
            names.add(f"import {node.module}")
        elif isinstance(node, ast.ImportFrom):
            both = {f"{node.module}.{alias.name}" for alias in node.names}
            names |= both & CALLS | {alias.name for alias in node.names} & CALLS
        elif isinstance(node, ast.Call):
            called, given = ast.unparse(node.func), {k.arg: k.value for k in node.keywords}
            last = called.rpartition(".")[2]
            bare = {each for each in CALLS if "." not in each} - {"eval", "compile"}
            if called in CALLS or last in bare:
                names.add(called if called in CALLS else last)
            if is_not(given.get("shell"), False):
                names.add("shell=True")
            if is_not(given.get("allow_pickle"), False):
                names.add("allow_pickle=True")
            if called == "torch.load" and is_not(given.get("weights_only", node), True):
                names.add("torch.load")
            if last == "from_string" or (last == "Environment" and "autoescape" not in given):
                names.add("templates without escapes")
    return names


def root(module: str) -> str:
    return module.partition(".")[0]


def is_not(given: ast.expr | None, value: bool) -> bool:
    """Whether an argument is there and is something else."""
    return given is not None and not (isinstance(given, ast.Constant) and given.value is value)


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_nothing_is_executed(path: Path) -> None:
    allowed = {what for file, what in EXCEPTIONS if file == path.as_posix()}
    assert found((ROOT / path).read_text(encoding="utf-8")) == allowed


def test_exceptions_have_a_reason_and_a_file() -> None:
    assert {file for file, _ in EXCEPTIONS} <= {path.as_posix() for path in SOURCES}
    assert all(EXCEPTIONS.values())


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("eval('1')", "eval"), ("import builtins\nbuiltins.exec('1')", "exec"),
        ("import os\nos.system('x')", "os.system"), ("from os import system", "os.system"),
        ("import pickle", "import pickle"), ("from pickle import loads", "import pickle"),
        ("import subprocess\nsubprocess.Popen('x', shell=True)", "shell=True"),
        ("run(x, shell=flag)", "shell=True"), ("np.load(x, allow_pickle=1)", "allow_pickle=True"),
        ("torch.load(x)", "torch.load"), ("torch.load(x, weights_only=False)", "torch.load"),
        ("import xml.etree.ElementTree as ET", "import xml.etree.ElementTree"),
        ("yaml.load(x, Loader)", "yaml.load"), ("archive.extractall()", "extractall"),
        ("Environment(loader=x)", "templates without escapes"),
        ("pd.read_pickle(x)", "read_pickle"),
    ],
)  # fmt: skip
def test_they_would_be_seen(source: str, expected: str) -> None:
    assert expected in found(source)


def test_what_is_harmless_is_not_seen() -> None:
    harmless = "model.eval()\nre.compile('x')\nnp.save(x, y, allow_pickle=False)\n"
    assert found(harmless + "torch.load(x, weights_only=True)\nnp.load(x)\n") == set()
