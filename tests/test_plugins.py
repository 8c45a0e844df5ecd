"""The recipe for a recommender of one's own: one file in a folder of one's own."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from test_contract import CHECKS, Case

from models import registry
from models.interactions import Interactions
from models.registry import create, discover, label, registered

EXAMPLE = Path(__file__).parents[1] / "examples" / "my_recommender.py"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder outside the project with a copy of the example; the registry is put back after."""
    monkeypatch.setattr(registry, "_REGISTRY", registered())
    monkeypatch.setattr(registry, "_LABELS", dict(registry._LABELS))
    shutil.copy(EXAMPLE, tmp_path)
    return tmp_path


def test_the_example_is_short() -> None:
    assert len(EXAMPLE.read_text(encoding="utf-8").splitlines()) < 60


def test_discovery_is_all_it_takes(folder: Path) -> None:
    before = registered()
    discover(folder)
    assert registered().keys() - before.keys() == {"my_recommender"}
    assert label("my_recommender") == "MyRecommender"
    assert create("my_recommender", embedding_dim=8).params()["embedding_dim"] == 8


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_example_keeps_the_contract(
    check: Callable[[Case, Interactions], None], folder: Path, checkerboard: Interactions
) -> None:
    discover(folder)
    check(Case("my_recommender", registered()["my_recommender"]), checkerboard)
