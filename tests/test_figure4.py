from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from numpy.typing import NDArray

from benchmark import intents
from benchmark.datasets import Dataset
from benchmark.experiments import Variant
from benchmark.experiments import figure4 as experiment
from benchmark.outputs import figure4, figures
from benchmark.record import Record
from benchmark.store import Store

GENRES = ("Comedy", "Horror", "Western")
NUM_ITEMS = 60
GROUPS = np.arange(NUM_ITEMS) % 3
Array = NDArray[np.float64]


def gammas(clearness: float) -> list[Array]:
    """Items of three groups, each with an intent of its own at all levels; 0: all alike."""
    generator = np.random.default_rng(0)
    noise = 0.1 * generator.random((NUM_ITEMS, 4))
    found = []
    for logits in (np.eye(4)[GROUPS] + noise, np.eye(4, 3), np.eye(3, 2)):
        weights = np.exp(clearness * logits)
        found.append(weights / weights.sum(1, keepdims=True))
    return found


def record(folder: Path, clearness: float, titles: bool = True) -> Record:
    """A record of one run of HUIGN with these intents."""
    table = pd.DataFrame({"title": [f"Film | {item}" for item in range(NUM_ITEMS)],
                          "genres": [GENRES[group] for group in GROUPS]})  # fmt: skip
    ids = np.arange(NUM_ITEMS)
    data = Dataset("toy", "made up", ids, ids, NUM_ITEMS, NUM_ITEMS, {},
                   item_table=table if titles else None)  # fmt: skip
    store = Store(folder)
    row = {"run_id": "run-0", "status": "ok", "variant": "HUIGN", "model": "huign", "seed": 0}
    store.append("runs", {**row, "tuned_as": ""})
    levels = gammas(clearness)
    kept: dict[str, Any] = {
        f"textual/{level}": gamma for level, gamma in enumerate(levels, start=1)
    }
    (folder / "intents").mkdir(exist_ok=True)
    np.savez(folder / "intents" / "run-0.npz", items=ids, **{"visual/1": levels[0], **kept})
    rows = [
        each
        for name, mine in (("visual", levels[:1]), ("textual", levels))
        for each in intents.described(name, mine, data)
    ]
    pd.DataFrame(rows, columns=intents.COLUMNS).to_csv(
        folder / "intents" / "run-0.csv", index=False
    )
    return Record(store, data, [experiment(Variant("HUIGN", "huign"))], (10,), {})


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    found: list[Figure] = []
    monkeypatch.setattr(figures, "save", lambda figure, *_: found.append(figure))
    return found


def texts(figure: Figure) -> str:
    return "\n".join(text.get_text() for axes in figure.axes for text in axes.texts)


def test_clusters_are_the_groups_and_lie_apart(tmp_path: Path, drawn: list[Figure]) -> None:
    figure4.write(record(tmp_path, clearness=8))
    points = pd.read_csv(tmp_path / "figure4.csv")
    assert points["item"].tolist() == list(range(NUM_ITEMS))
    assert set(points["modality"]) == {"textual"}
    assert set(points["level"]) == {2}
    assert points["cluster"].tolist() == GROUPS.tolist()
    words = dict(zip(points["cluster"], points["keywords"], strict=True))
    assert {cluster: text.split(", ")[0] for cluster, text in words.items()} == {
        cluster: genre.lower() for cluster, genre in enumerate(GENRES)
    }
    places = points[["x", "y", "z"]].to_numpy()
    distance = np.linalg.norm(places[:, None] - places, axis=2)
    np.fill_diagonal(distance, np.inf)
    assert (GROUPS[distance.argmin(1)] == GROUPS).mean() > 0.8  # a third by chance
    [figure] = drawn
    assert "collapsed" not in figure.get_suptitle()
    assert "intent 0, 20 items" in texts(figure)
    assert "comedy" in texts(figure)


def test_the_colours_tell_clusters_apart(tmp_path: Path, drawn: list[Figure]) -> None:
    figure4.write(record(tmp_path, clearness=8))
    panels = [axes for axes in drawn[0].axes if axes.collections]
    assert len(panels) == 4  # in space, and from three sides
    for axes in panels:
        [dots] = axes.collections
        assert len(np.unique(np.asarray(dots.get_facecolor()), axis=0)) == 3


def test_a_collapse_is_said_and_small_differences_still_shown(
    tmp_path: Path, drawn: list[Figure]
) -> None:
    figure4.write(record(tmp_path, clearness=1e-4))
    points = pd.read_csv(tmp_path / "figure4.csv")
    assert points["cluster"].tolist() == GROUPS.tolist()
    assert points["x"].std() > 1
    expected = "HUIGN has collapsed at levels 1 and 2 and 3"
    assert expected in " ".join(drawn[0].get_suptitle().split())
    assert expected in (tmp_path / "intents.md").read_text()


def test_items_that_are_exactly_alike(tmp_path: Path, drawn: list[Figure]) -> None:
    figure4.write(record(tmp_path, clearness=0))
    points = pd.read_csv(tmp_path / "figure4.csv")
    assert len(points) == NUM_ITEMS
    assert not points[["x", "y", "z"]].to_numpy().any()
    assert "by 0, 0, 0 % of their mean" in drawn[0].get_suptitle()
    assert "collapsed" in drawn[0].get_suptitle()


def test_places_of_the_same_run_are_not_computed_again(
    tmp_path: Path, drawn: list[Figure], monkeypatch: pytest.MonkeyPatch
) -> None:
    figure4.write(record(tmp_path, clearness=8))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    monkeypatch.delattr(figure4, "embedded")
    figure4.write(record(tmp_path, clearness=8))
    assert before == {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    assert len(drawn) == 2


@pytest.mark.parametrize(
    ("part", "other"), [("run-0", "run-1"), ("textual", "visual"), (",59,", ",60,"), (",x,", ",w,")]
)
def test_places_of_another_run_or_sample_are(
    part: str, other: str, tmp_path: Path, drawn: list[Figure]
) -> None:
    figure4.write(record(tmp_path, clearness=8))
    path = tmp_path / "figure4.csv"
    right = path.read_text()
    moved = pd.read_csv(path).assign(x=7.0).to_csv(index=False)
    assert part in moved
    path.write_text(moved)
    figure4.write(record(tmp_path, clearness=8))
    assert set(pd.read_csv(path)["x"]) == {7}
    path.write_text(moved.replace(part, other))
    figure4.write(record(tmp_path, clearness=8))
    assert path.read_text() == right


def test_without_titles_the_figure_says_that_there_are_no_keywords(
    tmp_path: Path, drawn: list[Figure]
) -> None:
    figure4.write(record(tmp_path, clearness=8, titles=False))
    assert "no keywords" in texts(drawn[0])
    assert pd.read_csv(tmp_path / "figure4.csv")["keywords"].isna().all()
    assert "; item " in (tmp_path / "intents.md").read_text()


def test_every_intent_is_listed_with_its_items_and_words(
    tmp_path: Path, drawn: list[Figure]
) -> None:
    figure4.write(record(tmp_path, clearness=8))
    table = pd.read_csv(tmp_path / "intents.csv", dtype={"parent": str})
    assert len(table) == 4 + 4 + 3 + 2
    assert table.loc[table["level"] == 1, "keywords"].str.split(",").str[0].tolist() == [
        "comedy", "horror", "western", table["keywords"][3].split(",")[0],
        "comedy", "horror", "western", table["keywords"][7].split(",")[0],
    ]  # fmt: skip
    markdown = (tmp_path / "intents.md").read_text()
    headings = [line for line in markdown.splitlines() if line.startswith("#")]
    assert headings == ["## visual, level 1", *(f"## textual, level {i}" for i in (1, 2, 3))]
    assert markdown.count(r"Film \| ") == 3 * len(table)  # no cell is parted by a title
    assert set(table["run_id"]) == {"run-0"}


def test_nothing_without_the_run_or_its_intents(tmp_path: Path, drawn: list[Figure]) -> None:
    filled = record(tmp_path, clearness=8)
    for path in (tmp_path / "intents").iterdir():
        path.unlink()
    figure4.write(filled)
    figure4.write(Record(filled.store, filled.dataset, [], (10,), {}))
    assert not (tmp_path / "figure4.csv").exists()
    assert not drawn


def test_the_middle_level_gives_way_where_it_does_not_part_the_items() -> None:
    first, _, third = gammas(8)
    level, found = figure4.clusters([first, np.full((NUM_ITEMS, 3), 1 / 3), third])
    assert level == 1
    assert found.tolist() == GROUPS.tolist()


def test_an_intent_that_nothing_is_assigned_to_is_no_cluster() -> None:
    weights = np.zeros((NUM_ITEMS, 5))
    weights[np.arange(NUM_ITEMS), GROUPS + 1] = 1
    assert figure4.clusters([weights])[1].tolist() == (GROUPS + 1).tolist()


def test_the_spread_is_relative_to_the_mean() -> None:
    weights = np.array([[0.4, 0.6], [0.6, 0.4]])
    assert figure4.spread([weights]) == pytest.approx([0.2])
    assert figure4.told([0.2]) == "by 20 % of their mean at the only level."


def test_it_is_written_as_a_picture(tmp_path: Path) -> None:
    figure4.write(record(tmp_path, clearness=8))
    assert (tmp_path / "figure4.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "figure4.pdf").read_bytes().startswith(b"%PDF")
