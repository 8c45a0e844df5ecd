"""Figure 4: the items by their intents, and what every intent holds, in words."""

from __future__ import annotations

import contextlib
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.manifold import TSNE

from benchmark import intents
from benchmark.experiments import Experiment
from benchmark.intents import Kept
from benchmark.outputs import figures
from benchmark.outputs.keywords import documents, keywords
from benchmark.outputs.layout import MARKDOWN, PICTURE, TABLE, remove, two_digits
from benchmark.record import Record
from benchmark.writing import harmless, write_atomic

PREFERRED = ("textual", "text")
"""The modality that is drawn: the paper's, else the first of the data."""

AXES = ["x", "y", "z"]
COLLAPSED = 0.01
"""A level whose weights differ by less than this share of their mean has collapsed."""

OTHERS = "#cccccc"
"""Of clusters beyond the largest."""


def write(record: Record) -> None:
    """Write ``figure4.csv``, ``.png``, ``.pdf``, and ``intents.csv``, ``.md``.

    Nothing if Figure 4 was not asked for, or if there is no run whose intents were kept.
    """
    experiment = record.experiment("figure4")
    if experiment is None:
        return
    if (run_id := chosen_run(experiment, record)) is None:
        for name in ("figure4", "intents"):
            remove(record.folder, name, (*TABLE, *PICTURE))
        return
    kept = intents.read(record.store, run_id, record.dataset.num_items)
    texts = documents(record.dataset)
    spreads = {name: spread(kept.distributions(name)) for name in kept.assignments}
    write_intents(record, run_id, spreads, texts)
    modality = next((name for name in PREFERRED if name in spreads), next(iter(spreads)))
    points = located(record, run_id, kept, modality, texts)
    text = points.to_csv(index=False, float_format="%.4f", lineterminator="\n")
    write_atomic(record.folder / "figure4.csv", text)
    with matplotlib.rc_context(figures.STYLE):
        figure = draw(points)
        size = f"{len(points):,} of {record.dataset.num_items:,} items"
        lines = textwrap.wrap(f"Intents vary between items {told(spreads[modality])}", 110)
        head = f"{record.dataset.name}, {modality} intents of {size}, placed by t-SNE"
        figure.suptitle("\n".join([head, *lines]))
        figures.save(figure, record.folder, "figure4")


def chosen_run(experiment: Experiment, record: Record) -> str | None:
    """The first seed's run of HUIGN, if its intents were kept."""
    [(_, variant)] = experiment.cells
    if record.done.empty:
        return None
    runs = record.done[record.done["variant"] == variant.label].sort_values("seed")
    return next((each for each in runs["run_id"] if intents.is_kept(record.store, each)), None)


def spread(distributions: Iterable[NDArray[np.float64]]) -> list[float]:
    """How much items differ at every level: the weights' deviation over items by their mean."""
    return [float(weights.std(0).mean() / weights.mean()) for weights in distributions]


def told(spreads: Sequence[float]) -> str:
    """Spreads by level, and what they mean, as the end of a sentence."""
    percent = [round(100 * value, 9) for value in spreads]  # the rest is rounding
    which = f"at levels 1 to {len(spreads)}" if len(spreads) > 1 else "at the only level"
    text = f"by {', '.join(map(two_digits, percent))} % of their mean {which}"
    gone = [str(level) for level, value in enumerate(spreads, start=1) if value < COLLAPSED]
    if not gone:
        return f"{text}."
    which = f"level{'s' * (len(gone) > 1)} {' and '.join(gone)}"
    return f"{text}: HUIGN has collapsed at {which}, where it hardly tells items apart."


def clusters(distributions: Sequence[NDArray[np.float64]]) -> tuple[int, NDArray[np.int64]]:
    """Each item's cluster: the intent that it exceeds the average item's weight in the most.

    Where assignments are clear-cut this is the intent that the item is assigned to. It is also
    defined where one intent is the strongest of all items alike.

    Args:
        distributions: H of every level, each ``[num_items, K_l]``.

    Returns:
        The level, the middle one, or the first where the middle one has fewer than three
        clusters with a hundredth of the items; and the intents, ``[num_items]``.
    """
    for level in (len(distributions) // 2 + 1, 1):
        weights = distributions[level - 1]
        mean = weights.mean(0)
        found = (weights / np.where(mean > 0, mean, 1)).argmax(1)
        if (np.bincount(found) >= 0.01 * len(found)).sum() >= 3:
            break
    return level, found


def embedded(distributions: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """The items' representation of Eq. 12 in three dimensions by t-SNE, ``[num_items, 3]``."""
    rows = np.hstack(distributions)
    if len(rows) < 4 or not np.ptp(rows, axis=0).any():  # too few to place, or all alike
        return np.zeros((len(rows), 3))
    rows -= rows.mean(0)
    # t-SNE computes in single precision, which small differences only survive if scaled up
    places = TSNE(
        n_components=3, init="pca", perplexity=min(30, (len(rows) - 1) / 3), max_iter=500,
        random_state=0, n_jobs=1,
    ).fit_transform(rows / rows.std())  # fmt: skip
    return np.asarray(places, dtype=np.float64).round(4)


def located(
    record: Record, run_id: str, kept: Kept, modality: str, texts: Sequence[str]
) -> pd.DataFrame:
    """The rows of ``figure4.csv``: places, clusters and the clusters' keywords.

    Places are taken over from an existing file if they are of the same run and items.
    """
    shown = intents.has_own(kept.assignments[modality][0])
    items = kept.items[shown]
    distributions = [weights[shown] for weights in kept.distributions(modality)]
    places = stored_places(record.folder / "figure4.csv", run_id, modality, items)
    level, found = clusters(distributions)
    points = pd.DataFrame({"run_id": run_id, "modality": modality, "item": items})
    known = intents.titles(record.dataset)
    points["title"] = [harmless(known[item]) for item in items]
    points[AXES] = embedded(distributions) if places is None else places
    points["level"], points["cluster"] = level, found
    words = keywords(texts, points.groupby("cluster")["item"].agg(list).to_dict())
    points["keywords"] = [", ".join(words[cluster]) for cluster in found]
    return points


def stored_places(
    path: Path, run_id: str, modality: str, items: NDArray[np.int64]
) -> NDArray[np.float64] | None:
    """Places that were written before for these very items, ``[num_items, 3]``."""
    with contextlib.suppress(OSError, ValueError, KeyError):
        old = pd.read_csv(path, keep_default_na=False)
        same = (old["run_id"] == run_id) & (old["modality"] == modality)
        if same.all() and old["item"].tolist() == items.tolist():
            return old[AXES].to_numpy(dtype=np.float64)
    return None


def draw(points: pd.DataFrame) -> Figure:
    """Items in three dimensions and from three sides, and the keywords of the largest clusters."""
    sizes = (
        points["cluster"].value_counts().sort_index().sort_values(ascending=False, kind="stable")
    )
    colours = dict(zip(map(int, sizes.index), figures.COLOURS, strict=False))
    shades = [colours.get(cluster, OTHERS) for cluster in points["cluster"]]
    figure = Figure(figsize=(figures.WIDTH, 6), layout="constrained")
    grid = figure.add_gridspec(2, 3, height_ratios=(2, 1))
    space: Any = figure.add_subplot(grid[0, :2], projection="3d")
    space.scatter(*(points[axis] for axis in AXES), c=shades, s=5, linewidths=0, depthshade=False)
    space.set(xticklabels=[], yticklabels=[], zticklabels=[])
    for axis in AXES:
        getattr(space, f"set_{axis}label")(axis.upper(), labelpad=-12)
    space.view_init(elev=20, azim=-55)
    space.set_box_aspect((1.3, 1.3, 1), zoom=1.5)
    space.set_in_layout(False)  # matplotlib before 3.11 finds it so large that nothing else fits
    for place, (across, up) in enumerate((("x", "y"), ("x", "z"), ("y", "z"))):
        side = figure.add_subplot(grid[1, place])
        side.scatter(points[across], points[up], c=shades, s=3, linewidths=0)
        side.set(xticks=[], yticks=[], xlabel=across.upper(), ylabel=up.upper())
    draw_keywords(figure.add_subplot(grid[0, 2]), points, sizes, colours)
    return figure


def draw_keywords(
    axes: Axes, points: pd.DataFrame, sizes: pd.Series[int], colours: Mapping[int, str]
) -> None:
    """The largest clusters with their numbers of items and keywords, as a list."""
    axes.set_axis_off()
    axes.set(xlim=(0, 1), ylim=(0, 1))
    axes.text(
        0, 1, f"Clusters: intents of level {points['level'].iloc[0]}", va="top", weight="bold"
    )
    place = 0.94
    for cluster, colour in colours.items():
        axes.plot(0.02, place - 0.019, "o", color=colour, clip_on=False)
        text = f"intent {cluster}, {sizes[cluster]} items"
        axes.text(0.07, place, text, va="top", color=colour, weight="bold", fontsize=7)
        words = points.loc[points["cluster"] == cluster, "keywords"].iloc[0]
        lines = textwrap.wrap(words, 34)[:2]
        axes.text(0.07, place - 0.034, "\n".join(lines), va="top", fontsize=6.5)
        place -= 0.054 + 0.03 * len(lines)
    rest, notes = sizes.iloc[len(colours) :], []
    if len(rest):
        notes.append(f"grey: {rest.sum()} items in {len(rest)} smaller clusters")
    if not points["keywords"].any():
        notes.append("no keywords: the data have no\ntitles, genres or descriptions")
    axes.text(0, place, "\n".join(notes), va="top", fontsize=6.5, color="#808080")


def write_intents(
    record: Record, run_id: str, spreads: Mapping[str, Sequence[float]], texts: Sequence[str]
) -> None:
    """Write every learned intent with its strongest items and their keywords."""
    table = intents.table(record.store, run_id, record.dataset.num_items)
    known = intents.titles(record.dataset)
    strongest = [[*map(int, ids.split())] for ids in table["items"]]
    words = keywords(texts, dict(enumerate(strongest)))
    table["keywords"] = [", ".join(words[place]) for place in range(len(table))]
    safe = table.assign(run_id=run_id, titles=table["titles"].map(harmless))
    csv = safe.to_csv(index=False, lineterminator="\n")
    write_atomic(record.folder / "intents.csv", csv)
    parts = [
        f"Intents that HUIGN learned on {record.dataset.name} (run {run_id}), with the items of "
        "the largest weight and the words that tell these items from all others. A share is the "
        "mean weight over the items; the parent is the intent of the next level that an intent is "
        "mostly assigned to. Items without neighbours in the item graph have no intents of their "
        "own and are left out.\n"
    ]
    table["share"] = [f"{100 * share:.3g} %" for share in table["share"]]
    table["strongest items"] = [
        MARKDOWN.text("; ".join(known[item] or f"item {item}" for item in items[:3]))
        for items in strongest
    ]
    shown = ["intent", "share", "parent", "keywords", "strongest items"]
    for place, rows in table.groupby(["modality", "level"], sort=False):
        modality, level = str(place[0]), place[1]
        if level == 1:
            parts.append(f"Intents of {modality} vary between items {told(spreads[modality])}\n")
        text = rows[shown].to_markdown(index=False, disable_numparse=True)
        parts.append(f"## {modality}, level {level}\n\n{text}\n")
    write_atomic(record.folder / "intents.md", "\n".join(parts))
