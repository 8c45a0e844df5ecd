from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from baselines.bpr_mf import BPRMF
from models.checkpoint import Checkpoint
from models.interactions import Interactions
from models.recommender import Recommender, Validate
from models.registry import discover, registered
from models.training import TrainedRecommender

for folder in ("models", "baselines"):
    discover(Path(__file__).parents[1] / folder)

TRAINED = {name: cls for name, cls in registered().items() if issubclass(cls, TrainedRecommender)}
SETTINGS: dict[str, Any] = {"learning_rate": 0.01, "batch_size": 50, "epochs": 6, "patience": 3}


class KilledError(Exception):
    pass


def judge(killed_after: int = 10**9) -> Validate:
    """A validation score that rises and falls with the weights; the process dies in some call."""
    calls = 0

    def validate(model: Recommender) -> float:
        nonlocal calls
        calls += 1
        if calls > killed_after:
            raise KilledError
        return float(model.score(torch.arange(3)).double().sin().sum())

    return validate


def make(cls: type[TrainedRecommender], checkpoint: Checkpoint) -> TrainedRecommender:
    model = cls(**SETTINGS)
    model.checkpoint = checkpoint
    return model


def outcome(model: TrainedRecommender) -> tuple[dict[str, Tensor], list[dict[str, float]]]:
    history = [{k: v for k, v in row.items() if k != "seconds"} for row in model.history]
    return dict(model.state_dict()), history


@pytest.mark.parametrize("name", TRAINED)
@pytest.mark.parametrize("killed_after", [1, 4, 8])
def test_goes_on_as_if_nothing_had_happened(
    name: str, killed_after: int, checkerboard: Interactions, tmp_path: Path
) -> None:
    path = tmp_path / "some" / "run.pt"

    weights, history = outcome(TRAINED[name](**SETTINGS).fit(checkerboard, judge()))
    if killed_after < len(history):
        with pytest.raises(KilledError):
            make(TRAINED[name], Checkpoint(path, seconds=0)).fit(checkerboard, judge(killed_after))
    resumed = make(TRAINED[name], Checkpoint(path, seconds=0)).fit(checkerboard, judge())
    found, told = outcome(resumed)
    assert told == history
    assert found.keys() == weights.keys()
    assert all(torch.equal(found[key], weights[key]) for key in weights)


def test_only_what_is_left_is_trained(checkerboard: Interactions, tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "run.pt", seconds=0)
    with pytest.raises(KilledError):
        make(BPRMF, checkpoint).fit(checkerboard, judge(4))
    seen = list[int]()

    def validate(model: Recommender) -> float:
        seen.append(len(seen))
        return 1000.0 + len(seen)

    make(BPRMF, checkpoint).fit(checkerboard, validate)
    assert len(seen) == 2  # epochs 5 and 6


def test_is_written_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([1000.0, 1059.0, 1060.0, 1060.0, 1100.0, 1121.0, 1121.0])
    monkeypatch.setattr("models.checkpoint.time.monotonic", lambda: next(clock))
    checkpoint = Checkpoint(tmp_path / "run.pt", seconds=60)
    for number, written in ((1, None), (2, 2), (3, 2), (4, 4)):
        checkpoint.save(partial(dict, number=number))
        state = checkpoint.load()
        assert state == (None if written is None else {"number": written})


@pytest.mark.fault(
    "a damaged checkpoint",
    how="empty, cut off, or other bytes",
    again="its training",
    says="`'....pt' is damaged (...): set aside as '....pt.damaged'; its training starts anew`",
)
@pytest.mark.parametrize("content", [b"", b"nonsense", b"PK\x03\x04 cut"])
def test_a_damaged_file_is_set_aside(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    path.write_bytes(content)
    with pytest.warns(UserWarning, match=r"run.pt' is damaged .* set aside as 'run.pt.damaged'"):
        assert Checkpoint(path).load() is None
    assert not path.exists()
    assert (tmp_path / "run.pt.damaged").read_bytes() == content


def test_code_in_a_file_is_not_run(tmp_path: Path) -> None:
    class Touch:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "touched",)

    path = tmp_path / "run.pt"
    torch.save({"parameters": Touch()}, path)
    with pytest.warns(UserWarning, match="set aside"):
        assert Checkpoint(path).load() is None
    assert not (tmp_path / "touched").exists()


def test_is_removed_with_its_stages(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "run.pt", seconds=0)
    for each in (checkpoint, checkpoint.stage(1), checkpoint.stage(2)):
        each.save(dict)
    (tmp_path / "runs.pt").touch()
    assert {path.name for path in tmp_path.iterdir()} == {
        "run.pt",
        "run.1.pt",
        "run.2.pt",
        "runs.pt",
    }
    checkpoint.remove()
    assert {path.name for path in tmp_path.iterdir()} == {"runs.pt"}


def test_a_training_goes_on_without_if_it_cannot_be_written(
    checkerboard: Interactions, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    checkpoint = Checkpoint(tmp_path / "file" / "run.pt", seconds=0)
    with pytest.warns(UserWarning, match="no checkpoint"):
        model = make(BPRMF, checkpoint).fit(checkerboard)
    assert len(model.history) == SETTINGS["epochs"]
