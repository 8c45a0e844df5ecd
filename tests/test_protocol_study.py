from __future__ import annotations

import pandas as pd
import pytest

from benchmark.outputs.layout import MINUS
from benchmark.outputs.protocol_study import METRICS, by_protocol, moved, study, top, verdicts

NAN = float("nan")
MODELS = ("A", "B", "C")


def cells(**values: tuple[float, ...]) -> pd.DataFrame:
    """Rows of :func:`benchmark.outputs.tables.by_cell`; NaN for a model without a run."""
    rows = []
    for switch, of_models in values.items():
        for model, value in zip(MODELS, of_models, strict=False):
            metrics = dict.fromkeys((f"{metric}@10" for metric in METRICS), value)
            metrics |= {"ndcg_hits@10": 3 * value}
            row = {"model": model, "switch": switch, "runs": f"{model} {switch}", **metrics}
            rows.append(row | {f"{name}_sd": x / 10 for name, x in metrics.items()})
    return pd.DataFrame(rows).dropna()


FOUND = study(
    cells(
        official=(0.3, 0.2, 0.1),
        corrected=(0.1, 0.2, 0.4),
        late_stop=(0.11, 0.2, 0.3),
        soft_mask=(0.2, 0.1, NAN),
    ),
    MODELS,
    10,
)


def at(model: str, switch: str, column: str) -> object:
    return FOUND.set_index(["model", "switch"]).loc[(model, switch), column]


def test_rows_are_in_order_and_only_for_what_was_run() -> None:
    order = ["corrected", "late_stop", "soft_mask", "ndcg_hits", "official"]
    assert FOUND["model"].tolist() == ["A"] * 5 + ["B"] * 5 + ["C"] * 4
    assert FOUND["switch"].tolist() == [*order, *order, *order[:2], *order[3:]]
    assert at("B", "late_stop", "runs") == "B late_stop"


def test_the_ndcg_is_over_the_hits_where_the_protocol_says_so() -> None:
    assert at("B", "late_stop", "ndcg@10") == 0.2
    assert at("B", "official", "ndcg@10") == pytest.approx(0.6)
    assert at("B", "official", "ndcg@10_sd") == pytest.approx(0.06)
    assert at("B", "ndcg_hits", "ndcg@10") == pytest.approx(0.6)
    assert at("B", "ndcg_hits", "runs") == "B corrected"
    assert at("B", "official", "recall@10") == at("B", "ndcg_hits", "recall@10") == 0.2


def test_changes_are_from_the_corrected_protocol() -> None:
    assert at("A", "late_stop", "recall@10_change_percent") == pytest.approx(10)
    assert at("C", "official", "ndcg@10_change_percent") == pytest.approx(-25)
    own = at("C", "corrected", "precision@10_change_percent")
    assert own != own  # NaN
    assert at("C", "ndcg_hits", "ndcg@10_change_percent") == pytest.approx(200)


def test_no_change_from_nothing() -> None:
    found = study(cells(corrected=(0.0, NAN), late_stop=(0.1, 0.1)), MODELS[:2], 10)
    assert found["recall@10_change_percent"].isna().all()
    assert moved(found, "recall@10", "late_stop") == "cannot be compared with corrected values"
    found = verdicts(found, "recall@10", ["B"])
    assert found["best"].tolist() == ["", "B"]
    assert found["was"].tolist() == ["", ""]


def test_columns_are_protocols_and_the_hits_matter_to_the_ndcg_alone() -> None:
    switches = ["corrected", "late_stop", "soft_mask", "ndcg_hits", "official"]
    assert list(by_protocol(FOUND, "ndcg@10")) == switches
    wide = by_protocol(FOUND, "recall@10")
    assert list(wide) == [switch for switch in switches if switch != "ndcg_hits"]
    assert wide["late_stop"].tolist() == [0.11, 0.2, 0.3]
    assert wide["soft_mask"].isna().tolist() == [False, False, True]


def test_who_wins_and_kendalls_tau() -> None:
    found = verdicts(FOUND, "recall@10", MODELS)
    assert found["best"].tolist() == ["C", "C", "A", "A"]
    # C has no result with the soft mask: without it, B was the best
    assert found["was"].tolist() == ["C", "C", "B", "C"]
    assert found["tau"].tolist() == pytest.approx([1, 1, -1, -1])
    assert verdicts(FOUND, "recall@10", ["A", "B"]).loc["official", "best"] == "A"


def test_kendalls_tau_of_one_swap_in_three() -> None:
    found = study(cells(corrected=(0.1, 0.2, 0.3), late_stop=(0.2, 0.1, 0.3)), MODELS, 10)
    tau = verdicts(found, "recall@10", MODELS)["tau"]
    assert tau["late_stop"] == pytest.approx(1 / 3)  # two pairs agree, one does not


@pytest.mark.parametrize("values", [(0.1,), (0.1, 0.1)], ids=("one model", "all equal"))
def test_no_rank_correlation_of_nothing(values: tuple[float, ...]) -> None:
    found = study(cells(corrected=values, late_stop=values), MODELS[: len(values)], 10)
    assert verdicts(found, "recall@10", MODELS)["tau"].isna().all()


def test_how_far_models_move() -> None:
    words = "changes by -5.00 % on average, from -25.00 % (C) to +10.00 % (A)"
    assert moved(FOUND, "recall@10", "late_stop").replace(MINUS, "-") == words
    found = study(cells(corrected=(0.5, 0.25), late_stop=(1.0, 0.5)), MODELS[:2], 10)
    assert moved(found, "recall@10", "late_stop") == "changes by +100.00 % for every model"


def test_the_top_is_shared() -> None:
    values = pd.Series({"A": 1.0, "B": 2.0, "C": 2.0})
    assert [top(values), top(values.clip(upper=1)), top(values[:0])] == ["B and C", "3 models", ""]
