from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from planted import Bench
from scipy.stats import ttest_rel
from small_record import closed, small_record, table_lines

from benchmark.command import discover_models
from benchmark.dissect import main as dissect
from benchmark.experiments import CHOICES, Variant, ablation
from benchmark.outputs.ablation import verdicts, write
from benchmark.outputs.layout import two_digits
from benchmark.outputs.significance import TESTED, Array, holm
from benchmark.redrawing import redraw
from benchmark.store import Store

CALL = ("--models", "huign", "--dataset", "toy", "--experiments", "ablation", "--seeds", "2")
FORMS = [
    "as published", "no intents (BPR-MF)", "no losses",
    "HUIGN-I, 8 common users", "HUIGN-I, 8 common users, one level",
    "HUIGN-I, 8 common users, features shuffled", "HUIGN-I, 16 common users", *CHOICES,
]  # fmt: skip
VARYING = [f"varying@{level}" for level in (1, 2, 3)]


def read(folder: Path) -> dict[str, dict[str, Any]]:
    """The table's rows by form."""
    rows = pd.read_csv(folder / "ablation.csv").to_dict("records")
    return {row["form"]: {str(name): value for name, value in row.items()} for row in rows}


def test_every_form_is_held_against_the_published_one(whole: Bench) -> None:
    folder = whole.results / "toy"
    forms, store = read(folder), Store(folder)

    def recall(form: str) -> Array:
        """Every user's, mean over the seeds, from the lists of the runs."""
        runs = forms[form]["runs"].split()
        lists = np.stack([store.lists(run).per_user["recall@10"].numpy() for run in runs])
        mean: Array = lists.mean(axis=0)
        return mean

    assert list(forms) == FORMS
    published, p_values = recall("as published"), []
    for form in FORMS[1:]:
        mine, row = recall(form), forms[form]
        assert row["recall@10"] == pytest.approx(mine.mean())
        assert row["difference"] == pytest.approx((mine - published).mean())
        assert row["difference_low"] <= row["difference"] <= row["difference_high"]
        varied = np.ptp(mine - published) > 1e-12
        p_values.append(ttest_rel(mine, published).pvalue if varied else 1.0)
    assert [forms[form]["p_value"] for form in FORMS[1:]] == pytest.approx(p_values)
    corrected = [forms[form]["p_holm"] for form in FORMS[1:]]
    assert corrected == pytest.approx(holm(np.array(p_values)))
    assert all(math.isnan(forms["as published"][name]) for name in (*TESTED, "p_holm"))


def test_how_much_intents_vary_is_what_the_histories_say(whole: Bench) -> None:
    folder = whole.results / "toy"
    forms = read(folder)
    for form in ("as published", "temperature 0.01"):
        expected: list[list[float]] = [[], [], []]
        for run in forms[form]["runs"].split():
            history = pd.read_csv(folder / "history" / f"{run}.csv").to_dict("records")
            kept = max(history, key=lambda epoch: float(epoch["validation"]))
            for level, size in enumerate((32, 8, 4), start=1):
                for modality in ("textual", "visual"):
                    expected[level - 1].append(100 * size * kept[f"{modality}/{level}/std"])
        found = [forms[form][name] for name in VARYING]
        assert found == pytest.approx([np.mean(values) for values in expected])
    assert forms["temperature 0.01"]["varying@1"] > 2 * forms["as published"]["varying@1"]
    assert all(math.isnan(forms["no intents (BPR-MF)"][name]) for name in VARYING)


def test_words(whole: Bench) -> None:
    folder = whole.results / "toy"
    text, row = (folder / "ablation.md").read_text(), read(folder)["temperature 0.01"]
    [cells] = table_lines(text, "temperature 0.01")
    assert f"{row['recall@10']:.4f} ± {row['recall@10_sd']:.4f}" in cells[0]
    assert cells[2].replace("\\", "") == (
        f"{row['difference']:+.4f} [{row['difference_low']:+.4f}, {row['difference_high']:+.4f}]"
    )
    assert cells[4] == f"{two_digits(row['varying@1'])} %"
    assert len(table_lines((folder / "ablation.tex").read_text(), "temperature 0.01")) == 1


def test_what_learned_from_shuffled_features_is_taken_apart_with_them(
    whole: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bench = Bench(shutil.copytree(whole.root, tmp_path / "copy"))
    blind = read(bench.results / "toy")["HUIGN-I, 8 common users, features shuffled"]
    run, _ = blind["runs"].split()
    for said in ("trained again, with the test metrics of the stored run", "loaded from"):
        assert dissect(bench.arguments(run)) == 0
        assert said in " ".join(capsys.readouterr().err.split())
    kept = json.loads((bench.results / "toy" / "models" / run / "model.json").read_text())
    assert kept["data"]["damage"] == "* shuffle 1"


def test_which_forms_are_better() -> None:
    found = pd.DataFrame({
        "form": ["as published", "a", "b", "c", "d"],
        "difference": [np.nan, 0.1, -0.1, 0.1, -0.1],
        "p_holm": [np.nan, 0.01, 0.049, 0.05, 1.0],
    })  # fmt: skip
    assert list(verdicts(found, 10)) == [
        "By Recall@10 better than HUIGN as published: a.",
        "By Recall@10 worse: b.",
        "By Recall@10 not shown to differ: c; d.",
    ]


def test_without_a_run_nothing_is_left(tmp_path: Path) -> None:
    asked = [ablation(Variant("HUIGN", "huign"))]
    record = small_record(tmp_path, [closed("HUIGN", "failed", "DivergedError")], asked)
    (tmp_path / "ablation.md").write_text("of rows that are gone")
    write(record)
    assert not (tmp_path / "ablation.md").exists()


def test_a_lost_list_or_history_leaves_a_gap(whole: Bench, tmp_path: Path) -> None:
    folder = tmp_path / "toy"
    shutil.copytree(whole.results / "toy", folder)
    before = read(folder)
    for run in before["temperature 0.1"]["runs"].split():
        (folder / "history" / f"{run}.csv").unlink()
        (folder / "lists" / f"{run}.npz").unlink()
    discover_models(None)
    redraw(folder, None)
    after = read(folder)
    row = after["temperature 0.1"]
    assert row["recall@10"] == before["temperature 0.1"]["recall@10"]
    assert all(math.isnan(row[name]) for name in (*TESTED, "p_holm", *VARYING))
    assert sum(not math.isnan(row["p_holm"]) for row in after.values()) == len(FORMS) - 2
