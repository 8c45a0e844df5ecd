from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from planted import contents, small_bench
from scipy import stats

from benchmark.datasets import Dataset
from benchmark.evaluation import Evaluation
from benchmark.experiments import table2
from benchmark.outputs.significance import bootstrap, holm, marks, paired_test, statistics, write
from benchmark.record import Record
from benchmark.store import Store
from benchmark.writing import StoreError

IDENTITY = {"dataset": "toy", "data_fingerprint": "0123456789abcdef", "preset": "quick"}
USERS = 300
KS = (1, 10)
LABELS = {"VBPR": "vbpr", "MMGCN": "mmgcn", "HUIGN": "huign", "EASE": "ease", "BPR-MF": "bpr_mf"}


def hits(chance: float, seed: int, users: int = USERS) -> Evaluation:
    """Lists of which every place is a hit by this chance; every user has 12 positives."""
    drawn = torch.rand(users, 10, generator=torch.Generator().manual_seed(seed)) < chance
    return Evaluation(torch.arange(users) * 2, drawn, torch.full((users,), 12), KS)


def planted(folder: Path, lists: Mapping[str, Sequence[Evaluation | None]]) -> Record:
    """A record with a run per evaluation, and without its list where there is ``None``."""
    store = Store(folder)
    for variant, evaluations in lists.items():
        for seed, evaluation in enumerate(evaluations):
            run_id = f"{variant}-{seed}"
            means = {} if evaluation is None else evaluation.means
            row = {"variant": variant, "model": LABELS[variant], "status": "ok", "tuned_as": ""}
            store.append("runs", {"run_id": run_id, **IDENTITY, **row, "seed": seed, **means})
            if evaluation is not None:
                store.save_lists(run_id, evaluation)
    return opened(folder)


def opened(folder: Path) -> Record:
    ids = np.zeros(1, dtype=np.int64)
    dataset = Dataset.from_pairs(
        name="toy",
        source="made up",
        users=ids,
        items=ids,
        num_users=1,
        num_items=1,
        features={},
    )
    return Record(Store(folder), dataset, [table2([*LABELS.values()])], KS, IDENTITY)


def row(table: pd.DataFrame, metric: str, variant: str) -> dict[str, Any]:
    [found] = table[(table["metric"] == metric) & (table["variant"] == variant)].to_dict("records")
    return {str(name): value for name, value in found.items()}


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Record:
    """HUIGN is better than the reference, MMGCN; BPR-MF is its equal and VBPR worse."""
    lists = {
        "EASE": [hits(0.45, 3)],
        "HUIGN": [hits(0.4, 4), hits(0.4, 5)],
        "MMGCN": [hits(0.3, 6), hits(0.31, 7)],
        "VBPR": [hits(0.2, 8)],
        "BPR-MF": [hits(0.3, 9)],
    }
    return planted(tmp_path_factory.mktemp("results"), lists)


@pytest.fixture(scope="module")
def table(record: Record) -> pd.DataFrame:
    return statistics(record)


def test_a_row_for_every_metric_and_variant_in_the_order_of_table_2(table: pd.DataFrame) -> None:
    metrics = [f"{name}@{k}" for name in ("precision", "recall", "ndcg", "ndcg_hits") for k in KS]
    variants = ["VBPR", "MMGCN", "HUIGN", "BPR-MF", "EASE"]
    assert list(table["metric"]) == [metric for metric in metrics for _ in variants]
    assert list(table["variant"]) == variants * len(metrics)


def test_the_numbers_are_those_of_numpy_and_scipy(table: pd.DataFrame) -> None:
    mine = [hits(0.4, seed).per_user["recall@10"].numpy() for seed in (4, 5)]
    theirs = [hits(chance, s).per_user["recall@10"].numpy() for chance, s in ((0.3, 6), (0.31, 7))]
    huign = row(table, "recall@10", "HUIGN")
    assert huign["mean"] == pytest.approx(np.mean(mine))
    assert huign["sd"] == pytest.approx(abs(mine[0].mean() - mine[1].mean()) / 2**0.5)
    assert huign["reference"] == "MMGCN"
    difference = (mine[0] + mine[1] - theirs[0] - theirs[1]) / 2
    assert huign["difference"] == pytest.approx(difference.mean())
    assert huign["effect_size"] == pytest.approx(difference.mean() / difference.std(ddof=1))
    expected = stats.ttest_rel(np.mean(mine, axis=0), np.mean(theirs, axis=0)).pvalue
    assert huign["p_value"] == pytest.approx(expected)
    assert (huign["users"], huign["seeds"], huign["runs"]) == (USERS, 2, "HUIGN-0 HUIGN-1")


def test_intervals_hold_their_means(table: pd.DataFrame) -> None:
    assert table["mean"].between(table["ci_low"], table["ci_high"], inclusive="neither").all()
    tested = table[table["variant"] != table["reference"]]
    ends = tested["difference_low"], tested["difference_high"]
    assert tested["difference"].between(*ends, inclusive="neither").all()


def test_deviations_are_over_seeds_and_empty_for_one(table: pd.DataFrame) -> None:
    assert set(table[table["sd"].notna()]["variant"]) == {"HUIGN", "MMGCN"}
    assert set(table[table["seeds"] == 2]["variant"]) == {"HUIGN", "MMGCN"}


def test_the_reference_has_no_test(table: pd.DataFrame) -> None:
    empty = table.loc[:, "difference":"p_holm"].isna()
    assert (table["reference"] == "MMGCN").all()  # though EASE and HUIGN are better
    assert (empty.all(axis=1) == (table["variant"] == "MMGCN")).all()
    assert not empty[table["variant"] != "MMGCN"].to_numpy().any()


def test_better_worse_and_equal_models_are_told_apart(table: pd.DataFrame) -> None:
    signs = marks(table)
    assert list(signs.columns) == ["VBPR", "MMGCN", "HUIGN", "BPR-MF", "EASE"]
    assert list(signs.index) == list(table["metric"].unique())
    assert list(signs.loc["recall@10"]) == ["††", "", "**", "", "**"]
    assert (signs["BPR-MF"] == "").all()
    assert row(table, "recall@10", "BPR-MF")["p_holm"] > 0.05


def test_marks_go_by_the_corrected_p_value_and_the_sign() -> None:
    p_holm = [0.0099, 0.01, 0.0499, 0.05, 0.0099, 0.0499, float("nan")]
    difference = [1, 1, 1, 1, -1, -1, float("nan")]
    rows = {"metric": "recall@10", "variant": list("gfedcba"), "p_value": 0.0}
    signs = marks(pd.DataFrame({**rows, "difference": difference, "p_holm": p_holm}))
    assert list(signs.columns) == list("gfedcba")
    assert list(signs.loc["recall@10"]) == ["**", "*", "*", "", "††", "†", ""]
    assert marks(pd.DataFrame()).empty


def test_holms_correction_is_within_one_metric(table: pd.DataFrame) -> None:
    tested = table[table["p_holm"].notna()]
    for _, rows in tested.groupby("metric"):
        smallest = rows.sort_values("p_value").iloc[0]
        assert smallest["p_holm"] == pytest.approx(min(1, 4 * smallest["p_value"]))


@pytest.mark.parametrize(
    ("models", "reference"),
    [
        (("HUIGN", "VBPR", "EASE"), "VBPR"),
        (("HUIGN", "EASE", "BPR-MF"), "EASE"),
        (("EASE", "BPR-MF"), "EASE"),
        (("HUIGN",), "HUIGN"),
    ],
    ids=str,
)
def test_the_reference_is_the_best_baseline_or_else_the_best_other_model(
    tmp_path: Path, models: tuple[str, ...], reference: str
) -> None:
    chances = {"HUIGN": 0.9, "EASE": 0.5, "BPR-MF": 0.3, "VBPR": 0.1}
    lists = {name: [hits(chances[name], seed)] for seed, name in enumerate(models)}
    table = statistics(planted(tmp_path, lists))
    assert (table["reference"] == reference).all()


def test_the_reference_goes_by_unrounded_means(tmp_path: Path) -> None:
    """Two models that differ in one place of one list."""
    one = hits(0.3, 0)
    more = one.hits.clone()
    more[0, :] = True
    other = Evaluation(one.users, more, one.num_positives, KS)
    for variants in (("VBPR", "MMGCN"), ("MMGCN", "VBPR")):
        lists = dict(zip(variants, ([one], [other]), strict=True))
        table = statistics(planted(tmp_path / variants[0], lists))
        assert row(table, "recall@10", variants[1])["reference"] == variants[1]


def test_models_that_agree_for_every_user_do_not_differ(tmp_path: Path) -> None:
    record = planted(tmp_path, {"VBPR": [hits(0.3, 0)], "HUIGN": [hits(0.3, 0)]})
    table = statistics(record)
    same = table[table["variant"] == "HUIGN"]
    assert (same["reference"] == "VBPR").all()
    assert (same[["difference", "difference_low", "difference_high"]] == 0).to_numpy().all()
    assert (same[["p_value", "p_holm"]] == 1).to_numpy().all()
    assert same["effect_size"].isna().all()
    assert (marks(table) == "").to_numpy().all()
    write(record)
    assert "| +0.0000 [+0.0000, +0.0000] |       | 1.000 " in read(tmp_path, "md")


def test_one_user_and_no_hits(tmp_path: Path) -> None:
    lists = {"VBPR": [hits(0.0, 0, users=1)], "HUIGN": [hits(1.0, 0, users=1)]}
    table = statistics(planted(tmp_path, lists))
    [p_value] = set(table[table["variant"] == "HUIGN"]["p_holm"])
    assert p_value == 1  # nothing to test with a single user
    for end in ("ci_low", "ci_high"):
        np.testing.assert_allclose(table[end], table["mean"], atol=1e-12)


def test_the_order_of_the_rows_changes_nothing(record: Record, tmp_path: Path) -> None:
    store = Store(tmp_path)
    for _, stored in record.store.rows("runs").sample(frac=1, random_state=1).iterrows():
        store.append("runs", {str(name): value for name, value in stored.items()})
        store.save_lists(stored["run_id"], record.store.lists(stored["run_id"]))
    assert list(store.rows("runs")["run_id"]) != list(record.store.rows("runs")["run_id"])
    pd.testing.assert_frame_equal(
        statistics(opened(tmp_path)), statistics(record), check_exact=True
    )


def read(folder: Path, suffix: str) -> str:
    return (folder / f"statistics.{suffix}").read_text(encoding="utf-8")


def test_written_twice_the_files_are_the_same(record: Record, table: pd.DataFrame) -> None:
    write(record)
    before = contents(record.folder)
    write(opened(record.folder))
    assert contents(record.folder) == before
    back = pd.read_csv(record.folder / "statistics.csv")
    pd.testing.assert_frame_equal(back, table, rtol=1e-12, atol=1e-300, check_dtype=False)


def test_what_is_written_says_what_was_done(record: Record, table: pd.DataFrame) -> None:
    write(record)
    text = read(record.folder, "md")
    assert [line for line in text.splitlines() if line.startswith("##")] == [
        *(f"## {m}@10, compared with MMGCN" for m in ("precision", "recall", "ndcg", "ndcg_hits")),
        "## How to read this",
    ]
    section = text.split("## ")[2]
    huign = row(table, "recall@10", "HUIGN")
    [line] = [line for line in section.splitlines() if line.startswith("| HUIGN")]
    mean, sd, difference, effect, p_value = (cell.strip() for cell in line.split("|")[2:-1])
    assert mean == f"{huign['mean']:.4f} [{huign['ci_low']:.4f}, {huign['ci_high']:.4f}]"
    assert sd == f"{huign['sd']:.4f}"
    assert difference.startswith(f"+{huign['difference']:.4f} [+{huign['difference_low']:.4f}, ")
    assert difference.endswith(r"] \*\*")
    assert (effect, p_value) == (f"+{huign['effect_size']:.3f}", "< 0.001")
    [line] = [line for line in section.splitlines() if line.startswith("| MMGCN")]
    assert [cell.strip() for cell in line.split("|")[4:-1]] == ["reference", "", ""]
    for words in ("300 users, 2 seeds", "sampling unit", "2000 resamples", "in a metric (4)"):
        assert words in text
    assert "nan" not in text
    assert "training noise is not covered" not in text
    assert "Left out" not in text


def test_one_seed_says_that_training_noise_is_not_covered(tmp_path: Path) -> None:
    write(planted(tmp_path, {"VBPR": [hits(0.3, 0)], "HUIGN": [hits(0.3, 1)]}))
    text = read(tmp_path, "md")
    assert "1 seed." in text
    assert "training noise is not covered" in text
    assert "| sd over seeds" not in text


def test_models_without_all_their_lists_are_left_out_and_named(tmp_path: Path) -> None:
    full = {"VBPR": [hits(0.3, 0)], "HUIGN": [hits(0.4, 1)]}
    record = planted(tmp_path, {**full, "EASE": [None], "MMGCN": [hits(0.5, 2), None]})
    (tmp_path / "lists" / "HUIGN-0.npz").write_bytes(b"not an archive")
    assert set(statistics(record)["variant"]) == {"VBPR"}
    write(record)
    assert "lists of theirs are not stored: EASE, HUIGN, MMGCN." in read(tmp_path, "md")


def test_failed_runs_and_variants_of_a_model_are_not_part_of_it(tmp_path: Path) -> None:
    record = planted(tmp_path, {"VBPR": [hits(0.3, 0)], "HUIGN": [hits(0.4, 1)]})
    other = {"variant": "HUIGN 32", "model": "huign", "status": "ok", "tuned_as": "HUIGN"}
    record.store.append("runs", {"run_id": "a-0", **IDENTITY, **other, "seed": 0})
    record.store.save_lists("a-0", hits(0.9, 2))
    failed = {"variant": "MMGCN", "model": "mmgcn", "status": "failed", "tuned_as": ""}
    record.store.append("runs", {"run_id": "b", **IDENTITY, **failed, "seed": None})
    write(opened(tmp_path))
    assert set(statistics(opened(tmp_path))["variant"]) == {"VBPR", "HUIGN"}
    assert "Left out" not in read(tmp_path, "md")


def test_nothing_is_written_without_lists(tmp_path: Path) -> None:
    record = planted(tmp_path / "a", {"VBPR": [hits(0.3, 0)]})
    write(record)
    assert (tmp_path / "a" / "statistics.csv").exists()
    (tmp_path / "a" / "lists" / "VBPR-0.npz").unlink()
    for folder in (tmp_path / "a", tmp_path / "b"):  # the second without any row
        write(opened(folder))
        assert statistics(opened(folder)).empty
        assert not list(folder.glob("statistics.*"))


def test_nothing_is_written_if_table_2_is_not_asked_for(tmp_path: Path) -> None:
    record = planted(tmp_path, {"VBPR": [hits(0.3, 0)]})
    write(Record(record.store, record.dataset, [], KS, IDENTITY))
    assert not list(tmp_path.glob("statistics.*"))


def test_lists_about_other_users_are_not_paired(tmp_path: Path) -> None:
    lists = {"VBPR": [hits(0.3, 0)], "HUIGN": [hits(0.4, 1, users=USERS - 1)]}
    with pytest.raises(StoreError, match=r"lists of 'VBPR' in .* are about other users"):
        statistics(planted(tmp_path, lists))


def test_the_program_keeps_what_statistics_are_made_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The means are those of the rows, to the last digit but rounding errors."""
    bench = small_bench(tmp_path, monkeypatch)
    arguments = ("--experiments", "table2", "--seeds", "2", "--dataset", "toy")
    assert bench.run("--models", "bpr_mf", "popularity", *arguments) == 0
    store = Store(bench.results / "toy")
    identity = {"dataset": "toy"}
    record = Record(store, opened(tmp_path / "other").dataset, [], (1, 5, 10, 20), identity)
    table = statistics(record)
    assert len(table) == 2 * 16
    means = record.overall.groupby("variant").mean(numeric_only=True)
    for found in table.to_dict("records"):
        expected = means.loc[found["variant"], found["metric"]]
        assert found["mean"] == pytest.approx(expected)
    assert set(table[table["seeds"] == 2]["variant"]) == {"BPR-MF"}


def test_the_bootstrap_is_scipys() -> None:
    generator = np.random.default_rng(0)
    values = np.stack([generator.exponential(size=120), generator.normal(3, 2, size=120)], axis=1)
    low, high = bootstrap(values, resamples=20_000)
    expected = stats.bootstrap(
        (values,),
        np.mean,
        n_resamples=20_000,
        batch=500,
        method="percentile",
        axis=0,
        random_state=np.random.default_rng(1),  # SciPy before 1.15 does not call it rng
    ).confidence_interval
    width = expected.high - expected.low
    assert np.abs(low - expected.low).max() < 0.02 * width.max()
    assert np.abs(high - expected.high).max() < 0.02 * width.max()


def test_every_call_of_the_bootstrap_draws_the_same_users() -> None:
    values = np.random.default_rng(0).random((50, 2, 3))
    low, high = bootstrap(values, resamples=130)
    assert low.shape == high.shape == (2, 3)
    alone = bootstrap(values[:, 1, 2], resamples=130)
    assert [low[1, 2], high[1, 2]] == pytest.approx([end.item() for end in alone])


def test_the_bootstrap_of_few_users_is_exact() -> None:
    """With users 0 and 1 a resample's mean is 0, 1/2 or 1, the outer ones a quarter each."""
    low, high = bootstrap(np.array([[0.0], [1.0]]))
    assert (low.item(), high.item()) == (0, 1)
    low, high = bootstrap(np.full((7, 1), 0.25))
    assert (low.item(), high.item()) == (0.25, 0.25)


def test_nineteen_of_twenty_intervals_hold_the_true_mean() -> None:
    """Columns are 400 repetitions of an experiment with 60 users."""
    values = np.random.default_rng(5).normal(0.3, 0.1, size=(60, 400))
    low, high = bootstrap(values, resamples=400)
    covered = ((low < 0.3) & (high > 0.3)).mean()
    assert 0.90 < covered < 0.98


def test_true_null_hypotheses_are_rejected_one_time_in_twenty() -> None:
    values = np.random.default_rng(6).normal(size=(60, 2, 1000))
    _, p_value = paired_test(values[:, 0], values[:, 1])
    assert 0.03 < (p_value < 0.05).mean() < 0.07


def test_the_test_is_scipys_and_two_sided() -> None:
    generator = np.random.default_rng(0)
    values, rivals = generator.random((40, 2, 3)), generator.random((40, 2, 1))
    effect, p_value = paired_test(values, rivals)
    opposite, same = paired_test(np.broadcast_to(rivals, values.shape), values)
    np.testing.assert_allclose(effect, -opposite)
    np.testing.assert_allclose(p_value, same)
    for metric in range(2):
        for variant in range(3):
            pair = values[:, metric, variant], rivals[:, metric, 0]
            expected = stats.ttest_rel(*pair)
            assert p_value[metric, variant] == pytest.approx(expected.pvalue)
            assert effect[metric, variant] * 40**0.5 == pytest.approx(expected.statistic)


def test_differences_without_variation_are_not_tested() -> None:
    values = np.array([[0.1, 0.3, 0.5], [0.1, 0.4, 0.6]])
    rivals = np.array([[0.1, 0.2, 0.1], [0.1, 0.3, 0.1]])  # 0.3 - 0.2 is not quite 0.4 - 0.3
    effect, p_value = paired_test(values, rivals)
    assert list(np.isnan(effect)) == [True, True, False]
    assert list(p_value[:2]) == [1, 1]
    assert p_value[2] == pytest.approx(stats.ttest_rel([0.5, 0.6], [0.1, 0.1]).pvalue)


def test_holm_by_hand() -> None:
    """0.01 x 4, 0.02 x 3, 0.025 x 2 raised to the one before, and 0.9 x 1."""
    given = np.array([0.02, 0.9, 0.01, 0.025])
    assert holm(given) == pytest.approx([0.06, 0.9, 0.04, 0.06])
    assert holm(np.array([0.5, 0.6])) == pytest.approx([1, 1])
    assert holm(np.array([0.03])) == pytest.approx([0.03])
    assert holm(np.array([])).shape == (0,)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_is_bounded_keeps_the_order_and_lies_between_no_correction_and_bonferroni(
    p_values: list[float],
) -> None:
    p = np.array(p_values)
    corrected = holm(p)
    assert (corrected >= p).all()
    assert (corrected <= np.minimum(1, len(p) * p)).all()
    assert (np.diff(corrected[np.argsort(p)]) >= 0).all()
    np.testing.assert_array_equal(holm(p[::-1]), corrected[::-1])
    for value in np.unique(p):  # equal p-values stay equal
        assert len(np.unique(corrected[p == value])) == 1
