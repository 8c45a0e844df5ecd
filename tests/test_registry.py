from __future__ import annotations

import re
from pathlib import Path

import pytest

from models import registry
from models.errors import UsageError
from models.registry import create, discover, label, register, registered

TOY = """\
from models.recommender import Recommender
from models.registry import register


@register("{name}")
class {class_name}(Recommender):
    def __init__(self, *, strength: float = 1.0) -> None:
        self.strength = strength

    def fit(self, train, validate=None):
        return self

    def score(self, users):
        raise NotImplementedError
"""


@pytest.fixture(autouse=True)
def empty_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_REGISTRY", {})
    monkeypatch.setattr(registry, "_LABELS", {})


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    """A folder with one plug-in."""
    (tmp_path / "toy.py").write_text(TOY.format(name="toy", class_name="Toy"))
    return tmp_path


def test_discovered_models_can_be_made_by_name(toy: Path) -> None:
    discover(toy)
    assert list(registered()) == ["toy"]
    assert create("toy").params() == {"strength": 1.0}
    assert create("toy", strength=2.0).params() == {"strength": 2.0}
    assert label("toy") == "Toy"


def test_discovering_again_changes_nothing(toy: Path) -> None:
    discover(toy)
    before = registered()
    discover(toy)
    assert registered() == before


def test_label_of_the_decorator_wins(toy: Path) -> None:
    discover(toy)
    register("other", label="The Other")(registered()["toy"])
    assert label("other") == "The Other"
    assert label("not registered") == "not registered"


def test_what_is_registered_cannot_be_changed_from_outside(toy: Path) -> None:
    discover(toy)
    registered().clear()
    assert list(registered()) == ["toy"]


def test_unknown_model_raises(toy: Path) -> None:
    (toy / "more.py").write_text(TOY.format(name="more", class_name="More"))
    discover(toy)
    with pytest.raises(UsageError, match="unknown model 'toi': choose from more, toy"):
        create("toi")


def test_unknown_hyper_parameter_raises(toy: Path) -> None:
    discover(toy)
    with pytest.raises(UsageError, match="'toy' has no hyper-parameter 'power': choose from stren"):
        create("toy", power=2.0)


def test_missing_folder_raises(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"plug-in folder '.*absent' does not exist"):
        discover(tmp_path / "absent")


@pytest.mark.parametrize(
    ("source", "line", "reason"),
    [
        ("x = 1\n\ndef broken(:\n", 3, "SyntaxError: "),
        ("x = 1\n1 / 0\n", 2, "ZeroDivisionError: division by zero"),
        ("def deep() -> None:\n    1 / 0\n\ndeep()\n", 2, "ZeroDivisionError: division by zero"),
        ("import json\njson.loads('{')\n", 2, "JSONDecodeError: "),
        ("import no_such_module_anywhere\n", 1, "ModuleNotFoundError: "),
    ],
)
def test_broken_plug_in_raises(tmp_path: Path, source: str, line: int, reason: str) -> None:
    path = tmp_path / "broken.py"
    path.write_text(source)
    with pytest.raises(UsageError, match=re.escape(f"plug-in '{path}', line {line}: {reason}")):
        discover(tmp_path)


def test_mended_plug_in_is_imported(toy: Path) -> None:
    source = (toy / "toy.py").read_text()
    (toy / "toy.py").write_text("1 / 0\n")
    with pytest.raises(UsageError):
        discover(toy)
    (toy / "toy.py").write_text(source)
    discover(toy)
    assert list(registered()) == ["toy"]


def test_duplicate_name_raises(toy: Path) -> None:
    (toy / "zweiter.py").write_text(TOY.format(name="toy", class_name="Zweiter"))
    with pytest.raises(UsageError, match=r"zweiter\.py', line \d.*two.* registered as 'toy'"):
        discover(toy)


def test_copied_plug_in_with_its_old_name_raises(toy: Path) -> None:
    (toy / "toy_copy.py").write_text((toy / "toy.py").read_text())
    with pytest.raises(UsageError, match="two recommenders are registered as 'toy'"):
        discover(toy)


def test_relative_folder_and_sub_package(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (toy / "parts").mkdir()
    (toy / "parts" / "__init__.py").touch()
    (toy / "unfinished.py").write_text("x = 1\n1 / 0\n")
    monkeypatch.chdir(toy.parent)
    with pytest.raises(UsageError, match=r"unfinished\.py', line 2: ZeroDivisionError"):
        discover(Path(toy.name))


def test_line_is_that_of_the_plug_in(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (toy / "parts").mkdir()
    (toy / "parts" / "not_python_at_all.py").write_text("\n\n\n)\n")
    (toy / "user.py").write_text("x = 1\nimport not_python_at_all\n")
    monkeypatch.syspath_prepend(toy / "parts")
    with pytest.raises(UsageError, match=r"user\.py', line 2: SyntaxError"):
        discover(toy)
