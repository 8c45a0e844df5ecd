"""How sure Table 2 is: intervals over users, and tests against the best of the baselines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.stats import ttest_rel

from benchmark.experiments import PAPER_MODELS, PROPOSED
from benchmark.metrics import METRICS
from benchmark.outputs.layout import MARKDOWN, TABLE, p_text, remove
from benchmark.record import Record
from benchmark.writing import StoreError, write_atomic

Array = NDArray[np.float64]

RESAMPLES = 2000
CHUNK = 50  # resamples drawn at a time: the memory is bounded by as many numbers per user
DIGITS = 12  # what comes after them is rounding; metrics are in [0, 1]
EQUAL = 10.0**-DIGITS  # differences that span less are none

TESTED = ("difference", "difference_low", "difference_high", "p_value")
"""The columns of :func:`beside`."""

SHOWN = {
    "model": "{variant}",
    "mean [95 % CI]": "{mean:.4f} [{ci_low:.4f}, {ci_high:.4f}]",
    "sd over seeds": "{sd:.4f}",
    "difference [95 % CI]": "{difference:+.4f} "
    "[{difference_low:+.4f}, {difference_high:+.4f}] {sign}",
    "d_z": "{effect_size:+.3f}",
    "p (Holm)": "{p}",
}


@dataclass(frozen=True)
class Measured:
    """What the stored lists of one variant say.

    Args:
        variant: As tables print it.
        model: Its registered name.
        runs: Ids of its rows, one per seed.
        metrics: Names such as ``recall@10``.
        values: ``[num_users, num_metrics]``, every user's mean over the seeds.
        deviation: ``[num_metrics]``, of the means over users, over the seeds; NaN for one seed.
    """

    variant: str
    model: str
    runs: list[str]
    metrics: list[str]
    values: Array
    deviation: Array


@lru_cache(maxsize=1)  # three writers ask for the same
def statistics(record: Record) -> pd.DataFrame:
    r"""Means, intervals, effects and tests of every metric and every variant of Table 2.

    A user's value is the mean over the seeds of a variant. With :math:`d_u` the difference between
    the values of user :math:`u` under a variant and under the reference, the effect size is
    Cohen's :math:`d_z = \bar d / s_d`, and the p-value that of the paired t-test.

    Args:
        record: What is stored. Variants that miss a list are left out.

    Returns:
        One row per metric and variant, none without stored lists:

        - ``metric``, ``variant``;
        - ``mean`` over users, ``sd`` over seeds (empty for a single one), ``ci_low`` and
          ``ci_high``, the 95 % bootstrap percentile interval over users;
        - ``reference``, the variant with the highest mean among the paper's baselines, or among
          all models but HUIGN if none of these is there;
        - ``difference`` to the reference, its interval ``difference_low`` to ``difference_high``,
          ``effect_size``, ``p_value`` (two-sided) and ``p_holm``, corrected for all comparisons
          in this metric; empty for the reference. Where no user differs, or all by the same,
          there is nothing to test: p is 1 and the effect size empty;
        - ``users`` and ``seeds``, how many, and ``runs``, the ids of the rows it comes from.
    """
    if not (found := measured(record, successful(record))):
        return pd.DataFrame()
    variants = np.array([each.variant for each in found])
    values = np.stack([each.values for each in found], axis=2)  # [users, metrics, variants]
    mean = values.mean(axis=0)  # [metrics, variants]
    allowed = candidates([each.model for each in found])
    best = np.where(allowed, mean, -np.inf).argmax(axis=1)[:, None]  # [metrics, 1]
    rivals = np.take_along_axis(values, best[None], axis=2)  # [users, metrics, 1]
    effect, p_value = paired_test(values, rivals)
    p_holm = np.ones(mean.shape)
    for place, others in enumerate(np.arange(len(found)) != best):
        p_holm[place, others] = holm(p_value[place, others])
    low, high = bootstrap(values)
    difference_low, difference_high = bootstrap(values - rivals)
    columns = {
        "metric": np.array(found[0].metrics)[:, None],
        "variant": variants,
        "mean": mean,
        "sd": np.stack([each.deviation for each in found], axis=1),
        "ci_low": low,
        "ci_high": high,
        "reference": variants[best],
        "difference": (values - rivals).mean(axis=0),
        "difference_low": difference_low,
        "difference_high": difference_high,
        "effect_size": effect,
        "p_value": p_value,
        "p_holm": p_holm,
        "users": np.array(len(values)),
        "seeds": np.array([len(each.runs) for each in found]),
        "runs": np.array([" ".join(each.runs) for each in found]),
    }
    table = pd.DataFrame(
        {name: np.broadcast_to(cells, mean.shape).ravel() for name, cells in columns.items()}
    )
    table.loc[table["variant"] == table["reference"], "difference":"p_holm"] = np.nan
    return table


def measured(record: Record, done: pd.DataFrame) -> list[Measured]:
    """The variants that have all their lists, the paper's first and in its order.

    Args:
        record: What is stored.
        done: Rows of ``runs.csv`` that came to a result.

    Raises:
        StoreError: If two lists are about different users, so that nothing can be paired.
    """
    found: list[Measured] = []
    users: torch.Tensor | None = None
    for (model, variant), rows in done.groupby(["model", "variant"]):
        runs = rows.sort_values("seed")["run_id"].tolist()
        try:
            lists = [record.store.lists(run_id) for run_id in runs]
        except StoreError:
            continue
        users = lists[0].users if users is None else users
        if not all(torch.equal(users, each.users) for each in lists):
            raise StoreError(
                f"the lists of '{variant}' in '{record.folder / 'lists'}' are about other users "
                "than those of the other models: take its rows out of runs.csv to run it again"
            )
        # [users] per metric -> [seeds, users, metrics]
        values = np.stack([torch.stack([*each.per_user.values()], 1).numpy() for each in lists])
        deviation = pd.DataFrame(values.mean(axis=1)).std(ddof=1).to_numpy()
        about = (str(variant), str(model), runs, [*lists[0].per_user])
        found.append(Measured(*about, values.mean(axis=0), deviation))
    order = [*PAPER_MODELS, *sorted({each.model for each in found} - set(PAPER_MODELS))]
    return sorted(found, key=lambda each: order.index(each.model))


def beside(
    record: Record, runs: pd.DataFrame, metric: str, pairs: Sequence[tuple[str, str]]
) -> pd.DataFrame:
    """Some variants beside others, user by user.

    Args:
        record: With the lists.
        runs: Rows of ``runs.csv``, those of all these variants.
        metric: Such as ``recall@10``.
        pairs: Labels of a variant and of the one it is held against.

    Returns:
        The columns :data:`TESTED`, a row per pair, NaN where a variant misses a list: the mean
        ``difference``, its 95 % bootstrap interval over users ``difference_low`` to
        ``difference_high``, and ``p_value`` of the paired t-test over users.
    """
    values = {
        each.variant: each.values[:, each.metrics.index(metric)]
        for each in measured(record, runs[runs["status"] == "ok"])
    }
    table = pd.DataFrame(np.nan, index=range(len(pairs)), columns=[*TESTED])
    known = [place for place, pair in enumerate(pairs) if values.keys() >= set(pair)]
    if known:
        mine, theirs = (
            np.stack([values[label] for label in labels], axis=1)
            for labels in zip(*(pairs[place] for place in known), strict=True)
        )
        p_value = paired_test(mine, theirs)[1]
        columns = (mine - theirs).mean(axis=0), *bootstrap(mine - theirs), p_value
        table.loc[known] = np.stack(columns, axis=1)
    return table


def successful(record: Record) -> pd.DataFrame:
    """The runs of Table 2 that came to a result."""
    runs = record.overall.reindex(columns=["status", "model", "variant", "seed", "run_id"])
    return runs[runs["status"] == "ok"]


def candidates(models: list[str]) -> NDArray[np.bool_]:
    """Which may be the reference: the paper's baselines, else all but HUIGN, else HUIGN."""
    others = np.array([model != PROPOSED for model in models])
    return next((some for some in (baselines(models), others) if some.any()), ~others)


def baselines(models: list[str]) -> NDArray[np.bool_]:
    """Which are the paper's baselines."""
    return np.array([model in PAPER_MODELS and model != PROPOSED for model in models], dtype=bool)


def bootstrap(values: Array, resamples: int = RESAMPLES) -> tuple[Array, Array]:
    """The 95 % percentile interval of means over users, drawn with replacement.

    Every call draws the same users, for all columns, so that whatever is compared is paired.

    Args:
        values: ``[num_users, ...]``.
        resamples: How often as many users are drawn as there are.

    Returns:
        The lower and the upper ends, each ``[...]``.
    """
    num_users, columns = len(values), values.reshape(len(values), -1)
    generator, means = np.random.default_rng(0), np.empty((resamples, columns.shape[1]))
    for start in range(0, resamples, CHUNK):
        part = means[start : start + CHUNK]
        drawn = generator.integers(num_users, size=(len(part), num_users))
        drawn += num_users * np.arange(len(part))[:, None]  # each draw counts on its own
        times = np.bincount(drawn.ravel(), minlength=drawn.size).reshape(drawn.shape)
        part[:] = times.astype(np.float64) @ columns / num_users
    # rounded, since the last bits of a matrix product depend on the number of threads
    low, high = np.quantile(means.round(DIGITS), (0.025, 0.975), axis=0)
    return low.reshape(values.shape[1:]), high.reshape(values.shape[1:])


def paired_test(values: Array, rivals: Array) -> tuple[Array, Array]:
    """Cohen's d_z and the two-sided p-value of the paired t-test over users.

    Args:
        values: ``[num_users, ...]``.
        rivals: The values to compare them with; their shape may be broadcast.

    Returns:
        Two arrays ``[...]``: NaN and 1 where all differences are equal.
    """
    rivals = np.broadcast_to(rivals, values.shape)
    varied = np.ptp(values - rivals, axis=0) > EQUAL
    effect, p_value = np.full(varied.shape, np.nan), np.ones(varied.shape)
    if varied.any():
        mine, theirs = values[:, varied], rivals[:, varied]
        effect[varied] = (mine - theirs).mean(axis=0) / (mine - theirs).std(axis=0, ddof=1)
        p_value[varied] = ttest_rel(mine, theirs).pvalue
    return effect, p_value


def holm(p_values: Array) -> Array:
    r"""Holm's correction: bounds the chance of even one false positive among ``m`` tests.

    .. math::
        \tilde p_{(i)} = \max_{j \le i} \min\big(1, (m - j + 1)\, p_{(j)}\big)

    Args:
        p_values: ``[m]``.
    """
    order, corrected = np.argsort(p_values), np.empty_like(p_values)
    scaled = np.arange(len(p_values), 0, -1) * p_values[order]
    corrected[order] = np.maximum.accumulate(np.minimum(1, scaled))
    return corrected


def marks(statistics: pd.DataFrame) -> pd.DataFrame:
    """Signs for the cells of Table 2.

    ``*`` is significantly better than the metric's reference and ``†`` significantly worse, by a
    p-value after Holm's correction below 0.05; ``**`` and ``††`` by one below 0.01.

    Args:
        statistics: Of :func:`statistics`.

    Returns:
        Metrics in rows and variants in columns, in the given order; empty text for all others.
    """
    if statistics.empty:
        return pd.DataFrame()
    below = [statistics["p_holm"] < 0.01, statistics["p_holm"] < 0.05]
    better, worse = np.select(below, ["**", "*"], ""), np.select(below, ["††", "†"], "")
    signs = statistics.assign(sign=np.where(statistics["difference"] > 0, better, worse))
    table = signs.pivot(index="metric", columns="variant", values="sign")
    return table.loc[signs["metric"].unique(), signs["variant"].unique()]


def write(record: Record) -> None:
    """Write ``statistics.csv`` and ``.md`` if Table 2 was asked for and there are lists."""
    if record.experiment("table2") is None:
        return
    found, folder = statistics(record), record.folder
    if found.empty:  # older files would no longer be about what the table says
        remove(folder, "statistics", TABLE)
        return
    write_atomic(folder / "statistics.csv", found.to_csv(index=False, lineterminator="\n"))
    parts = ["Overall performance, with intervals and tests over users"]
    for metric in (f"{name}@{record.k}" for name in METRICS):
        rows = found[found["metric"] == metric]
        table = readable(rows).to_markdown(index=False, disable_numparse=True)
        parts += [f"## {metric}, compared with {MARKDOWN.text(rows['reference'].iloc[0])}", table]
    text = "\n\n".join([*parts, "## How to read this", legend(record, found)])
    write_atomic(folder / "statistics.md", f"{text}\n")


def readable(rows: pd.DataFrame) -> pd.DataFrame:
    """One metric's rows of :func:`statistics` as text."""
    signs = marks(rows).iloc[0].str.replace("*", r"\*").loc[rows["variant"]]
    names = {name: rows[name].map(MARKDOWN.text) for name in ("variant", "reference")}
    rows = rows.assign(**names, sign=signs.to_numpy(), p=rows["p_holm"].map(p_text))
    told = rows.to_dict("records")
    shown = {name: [form.format_map(row) for row in told] for name, form in SHOWN.items()}
    if rows["sd"].isna().all():
        del shown["sd over seeds"]
    empty = {"nan": "", "+nan": "", "+nan [+nan, +nan] ": "reference"}
    return pd.DataFrame(shown).replace(empty)


def legend(record: Record, found: pd.DataFrame) -> str:
    """What the numbers are, what they do not cover, and which models are missing."""
    told, seeds = record.identity, int(found["seeds"].max())
    noise = (
        "The sd is over a model's seeds, of its means over users, and empty for a model trained "
        "once; intervals and tests take the trained models as given."
        if seeds > 1
        else "With one seed, training noise is not covered: another training may move a mean by "
        "more than its interval says."
    )
    lines = [
        f"Test data of {told['dataset']} (fingerprint {told['data_fingerprint']}), preset "
        f"{told['preset']}, {found['users'].iloc[0]} users, {seeds} seed{'s' * (seeds > 1)}.",
        f"Users are the sampling unit. A user's value is the mean over a model's seeds. {noise}",
        f"CI: percentile bootstrap, {RESAMPLES} resamples of the users, the same for all models "
        "and metrics, so that differences are paired.",
        "The reference is, in each metric, the best of the paper's baselines by unrounded mean, "
        "or of all models but HUIGN if there is none of these; chosen by the same test data, which "
        "flatters it if anything. Differences are model minus reference.",
        "d_z: Cohen's effect size, mean over standard deviation of the users' differences.",
        "p: two-sided paired t-test over users, after Holm's correction for all comparisons in a "
        f"metric ({found['variant'].nunique() - 1}); metrics are not corrected for each other.",
        r"\*: significantly better than the reference, †: worse, p < 0.05; \*\*, ††: p < 0.01.",
    ]
    missing = sorted(set(successful(record)["variant"]) - set(found["variant"]))
    if missing:
        lines.append(f"Left out, because lists of theirs are not stored: {', '.join(missing)}.")
    return "\n".join(f"- {line}" for line in lines)
