"""Features from raw data: from the command to a trained model, and libraries by stand-ins."""

from __future__ import annotations

import json
import sys
import wave
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from planted import small_bench
from torch import nn

from benchmark.data import main
from benchmark.datasets import load
from benchmark.datasets.item_texts import tokens
from benchmark.datasets.latent_semantics import latent_semantics
from benchmark.extraction import raw_items, sounds
from benchmark.extraction.encoders import ENCODERS

WORDS = ("rocket laser planet", "kiss wedding dance")
ITEMS = 24
NAMES = [f"i{item:02}" for item in range(ITEMS)]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Users like items of their own parity, and descriptions tell it; the last has no text."""
    folder = tmp_path / "data" / "shop"
    folder.mkdir(parents=True)
    pairs = [f"u{u},{NAMES[i]}\n" for u in range(20) for i in range(u % 2, ITEMS, 2)]
    (folder / "interactions.csv").write_text("user,item\n" + "".join(pairs))
    rows = [f"{name},Film {i // 2},{WORDS[i % 2]}\n" for i, name in enumerate(NAMES[:-1])]
    (folder / "items.csv").write_text("item,title,description\n" + "".join(rows))
    return tmp_path / "data"


def features(root: Path, *arguments: str) -> int:
    return main(["features", "shop", "--data-root", str(root), *arguments])


def error(root: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert features(root, *arguments) == 2
    *_, line = capsys.readouterr().err.splitlines()  # an old bar leaves one of its own
    return str(line)


def files(root: Path, ending: str, content: bytes = b"") -> Path:
    """A file per item but the last, and two that are nobody's."""
    folder = root.parent / "files"
    folder.mkdir()
    for name in (*NAMES[:-1], "stranger", "..i01"):
        (folder / f"{name}{ending}").write_bytes(content)
    return folder


def test_words_become_features_that_a_model_trains_on(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert features(root, "--columns", "title", "description", "--modality", "plot") == 0
    dataset = load("shop", root)
    texts = [{"title": f"Film {i // 2}", "description": WORDS[i % 2]} for i in range(ITEMS - 1)]
    expected = latent_semantics([tokens(each) for each in texts])
    np.testing.assert_array_equal(dataset.features["plot"][:-1], expected)
    assert not dataset.features["plot"][-1].any()
    monkeypatch.setattr("planted.Bench.add", lambda *_: None)
    bench = small_bench(tmp_path, monkeypatch)
    assert bench.run("--models", "vbpr", "--dataset", "shop") == 0
    [row] = bench.rows("shop")
    assert (row["status"], row["modalities"]) == ("ok", "plot")


def test_the_same_again_computes_nothing(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = []

    def counted(*arguments: Any) -> Any:
        calls.append(arguments)
        return latent_semantics(*arguments)

    monkeypatch.setattr("benchmark.datasets.latent_semantics.latent_semantics", counted)
    path, table = root / "shop" / "text.json", root / "shop" / "items.csv"
    asked = ("--columns", "description")
    assert features(root, *asked) == 0
    first = path.read_bytes()
    assert capsys.readouterr().out.startswith(f"wrote {path}\n")
    assert features(root, *asked) == 0
    assert capsys.readouterr().out.startswith("nothing has changed")
    assert len(calls) == 1
    assert features(root, *asked, "--dim", "2") == 0  # another recipe
    assert features(root, *asked) == 0
    assert (len(calls), path.read_bytes()) == (3, first)
    table.write_text(table.read_text().replace("kiss", "hug", 1))
    assert features(root, *asked) == 0
    monkeypatch.setattr("scipy.__version__", "0.1")
    assert features(root, *asked) == 0
    assert len(calls) == 5
    path.write_text(path.read_text() + "\n")
    assert "not made by this command" in error(root, capsys, *asked)


@pytest.mark.parametrize("layout", ["mmrec", "recbole", "matrix"])
def test_every_layout_takes_features_up(layout: str, tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    folder.mkdir()
    pairs = [(user, item) for user in range(6) for item in range(4) if (user + item) % 3]
    names = [f"i{item}" if layout == "recbole" else str(item) for item in range(4)]
    lines = "".join(f"{user}\t{names[item]}\n" for user, item in pairs)
    if layout == "matrix":
        from scipy.sparse import csr_array, save_npz

        users, items = zip(*pairs, strict=True)
        save_npz(folder / "interactions.npz", csr_array((np.ones(len(pairs)), (users, items))))
    else:
        header = "user_id:token\titem_id:token" if layout == "recbole" else "userID\titemID"
        (folder / "shop.inter").write_text(f"{header}\n{lines}")
    (tmp_path / "plots").mkdir()
    for name, text in zip(names, ("a b b", "a c", " ", "b c c c"), strict=True):
        (tmp_path / "plots" / f"{name}.txt").write_text(text)
    assert features(tmp_path, "--files", str(tmp_path / "plots"), "--dim", "2") == 0
    found = load("shop", tmp_path).features["text"]
    expected = latent_semantics([["a", "b", "b"], ["a", "c"], ["b", "c", "c", "c"]], 2)
    np.testing.assert_array_equal(found, np.insert(expected, 2, 0, axis=0))


def test_names_of_items_are_never_made_paths(root: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "a.txt").write_text("known")
    found = raw_items.item_files(tmp_path / "files", "text", ["../secret", "a", "/etc/hosts"])
    assert found == {1: tmp_path / "files" / "a.txt"}


def stand_in(monkeypatch: pytest.MonkeyPatch, name: str, **contents: Any) -> ModuleType:
    module = ModuleType(name)
    module.__dict__.update(contents, __version__="1.0")
    monkeypatch.setitem(sys.modules, name, module)
    return module


def test_sentences(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    class SentenceTransformer:
        def __init__(self, name: str, device: str) -> None:
            asked.append((name, device))

        def encode(self, texts: list[str], **options: bool) -> Any:
            assert options == {"convert_to_numpy": True, "show_progress_bar": False}
            asked.append(texts)
            return np.array([[len(text), 1] for text in texts], dtype=np.float32)

    stand_in(monkeypatch, "sentence_transformers", SentenceTransformer=SentenceTransformer)
    stand_in(monkeypatch, "transformers")
    columns = ("--columns", "description", "title", "--device", "cpu")
    assert features(root, *columns, "--encoder", "sentence-transformers") == 0
    assert asked[0] == ("all-MiniLM-L6-v2", "cpu")
    assert asked[1][1] == "kiss wedding dance\nFilm 0"
    found = load("shop", root).features["text"]
    assert found[1].tolist() == [25, 1]
    assert found[-1].tolist() == [0, 0]


class Network(nn.Module):
    """The mean colour, then classes."""

    def __init__(self) -> None:
        super().__init__()
        self.heads = nn.Sequential(nn.Dropout(0.9), nn.Linear(3, 7))

    def forward(self, images: torch.Tensor) -> Any:
        return self.heads(images.mean((2, 3)))


@pytest.fixture
def torchvision(monkeypatch: pytest.MonkeyPatch) -> None:
    """A library with one network."""

    def prepare(image: Image.Image) -> torch.Tensor:
        assert image.mode == "RGB"
        return torch.from_numpy(np.array(image.resize((2, 2)))).permute(2, 0, 1).float()

    weights = SimpleNamespace(DEFAULT=SimpleNamespace(transforms=lambda: prepare))
    models = stand_in(
        monkeypatch,
        "torchvision.models",
        list_models=lambda _: ["resnet50"],
        get_model_weights=lambda _: weights,
        get_model=lambda _, weights: Network(),
    )
    stand_in(monkeypatch, "torchvision", models=models)
    small = replace(ENCODERS["torchvision"], batch=4)
    monkeypatch.setitem(ENCODERS, "torchvision", small)


def test_images(torchvision: None, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = files(root, ".txt")
    for item, name in enumerate(NAMES[:-1]):
        image = Image.new("RGB", (5, 4), (item, 20, 200)) if item else Image.new("L", (5, 4), 30)
        image.save(folder / f"{name}{'.PNG' if item % 2 else '.jpg'}", format="PNG")
    asked = ("--files", str(folder), "--encoder", "torchvision", "--device", "cpu")
    assert features(root, *asked) == 0
    found = load("shop", root).features["image"]
    assert found[0].tolist() == [30, 30, 30]
    assert found[1:-1].tolist() == [[item, 20, 200] for item in range(1, ITEMS - 1)]
    assert not found[-1].any()
    (folder / f"{NAMES[2]}.jpg").write_bytes(b"no picture")
    assert f"{NAMES[2]}.jpg: is no image" in error(root, capsys, *asked)
    assert "none of torchvision's" in error(root, capsys, *asked, "--model", "bert")
    (folder / f"{NAMES[2]}.png").write_bytes(b"")
    assert f"item '{NAMES[2]}' has two files" in error(root, capsys, *asked)


class Bundle:
    """A network that is as loud as its input, twice a second."""

    sample_rate = 10.0

    def get_model(self) -> Any:
        class Loudness(nn.Module):
            def extract_features(self, wave: torch.Tensor) -> tuple[list[torch.Tensor], None]:
                frames = wave.unfold(1, 5, 5).mean(2, keepdim=True)
                return [frames - 1, frames], None

        return Loudness()


def test_sounds(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class SoundFile:
        """Wave files of 8 bits, as soundfile reads them."""

        def __init__(self, path: Path) -> None:
            with wave.open(str(path)) as file:
                self.samplerate, self.frames = file.getframerate(), file.getnframes()
                flat = np.frombuffer(file.readframes(self.frames), np.uint8)
                self.samples = flat.reshape(-1, file.getnchannels()).astype(np.float32)

        def __enter__(self) -> SoundFile:
            return self

        def __exit__(self, *_: object) -> None: ...

        def blocks(self, blocksize: int, dtype: str, always_2d: bool) -> Iterator[Any]:
            assert (dtype, always_2d) == ("float32", True)
            for start in range(0, self.frames, blocksize):
                yield self.samples[start : start + blocksize]

    pipelines = stand_in(
        monkeypatch,
        "torchaudio.pipelines",
        Wav2Vec2Bundle=Bundle,
        WAV2VEC2_BASE=Bundle(),
        __all__=["Wav2Vec2Bundle", "WAV2VEC2_BASE"],
    )
    functional = stand_in(
        monkeypatch, "torchaudio.functional", resample=lambda wave, old, new: wave[:, :: old // new]
    )
    stand_in(monkeypatch, "torchaudio", pipelines=pipelines, functional=functional)
    stand_in(monkeypatch, "soundfile", SoundFile=SoundFile)
    monkeypatch.setattr(sounds, "SECONDS", 2)
    folder = root.parent / "clips"
    folder.mkdir()
    left = {NAMES[1]: [10] * 40 + [40] * 20 + [99] * 3, NAMES[4]: [8] * 5}
    for name, samples in left.items():  # 20 samples a second, on two channels
        with wave.open(str(folder / f"{name}.wav"), "wb") as file:
            file.setparams((2, 1, 20, 0, "NONE", ""))
            file.writeframes(bytes(value for sample in samples for value in (sample, 0)))
    assert features(root, "--files", str(folder), "--encoder", "torchaudio", "--device", "cpu") == 0
    found = load("shop", root).features["audio"]
    # 4 half seconds of 10 and 2 of 40 on one channel of two; the rest is too short
    assert found[1, 0] == pytest.approx((4 * 5 + 2 * 20) / 6)
    # 3 samples of 4 in the first of two half seconds of a second
    assert found[4, 0] == pytest.approx((3 * 4 / 5 + 0) / 2)
    assert np.flatnonzero(found).tolist() == [1, 4]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), ("--columns", "--files", "required")),
        (("--columns", "plot"), ("'plot'", "title, description")),
        (("--columns", "title", "--encoder", "bert"), ("bert", "tfidf", "torchvision")),
        (("--columns", "title", "--encoder", "torchvision"), ("--columns", "image", "--files")),
        (("--columns", "title", "--model", "resnet50"), ("--model", "tfidf")),
        (("--columns", "title", "--dim", "99"), ("--dim 99", "at most")),
        (("--columns", "title", "--dim", "0"), ("--dim", "from 1")),
        (("--columns", "title", "--modality", "../x"), ("--modality", "'../x'")),
        (("--columns", "title", "--modality", "a_emb"), ("'a_emb'", "choose another name")),
        (("--files", "{root}"), ("no file is named after an item", "i00.txt")),
        (("--files", "{root}/none"), ("none", "cannot be read")),
        (
            ("--files", "{root}", "--encoder", "sentence-transformers", "--dim", "3"),
            ("--dim", "--model"),
        ),
    ],
)
def test_mistakes_name_the_option_and_the_fix(
    arguments: tuple[str, ...],
    words: tuple[str, ...],
    root: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = sorted((root / "shop").iterdir())
    line = error(root, capsys, *(each.replace("{root}", str(root)) for each in arguments))
    for word in words:
        assert word in line
    assert sorted((root / "shop").iterdir()) == before


def test_a_missing_library_names_its_extra(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, extra in (("sentence-transformers", "text"), ("torchvision", "images"),
                        ("torchaudio", "audio")):  # fmt: skip
        encoder = ENCODERS[name]
        monkeypatch.setitem(sys.modules, encoder.libraries[0], None)
        folder = root.parent / encoder.kind
        folder.mkdir()
        ending = raw_items.ENDINGS[encoder.kind][0]
        (folder / f"{NAMES[0]}{ending}").write_text("something")
        line = error(root, capsys, "--files", str(folder), "--encoder", name)
        assert f"--encoder {name} needs {encoder.libraries[0]}" in line
        assert f"pip install -c constraints.txt -e .[{extra}]" in line


def test_features_of_others_stay(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = root / "shop" / "text.csv"
    path.write_text("item,f0\n" + "".join(f"{name},1\n" for name in NAMES))
    line = error(root, capsys, "--columns", "title")
    assert "'text'" in line
    assert "choose another name" in line


def test_data_that_take_no_features(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", "shop", "--to", str(root / "fast"), "--data-root", str(root)]) == 0
    asked = ["--columns", "title", "--data-root", str(root)]
    assert main(["features", "fast", *asked]) == 2
    assert "extract features of the original" in capsys.readouterr().err
    assert main(["features", "synthetic-tiny", *asked]) == 2
    assert "give the name of a folder" in capsys.readouterr().err
    (root / "shop" / "items.csv").unlink()
    assert "no table of items" in error(root, capsys, "--columns", "title")


def test_the_note_says_how_features_were_made(root: Path) -> None:
    assert features(root, "--columns", "title") == 0
    note = json.loads((root / "shop" / ".text.json.made").read_text())["made by"]
    assert (note["encoder"], note["model"], note["dim"]) == ("tfidf", None, None)
    assert set(note["versions"]) == {"sklearn", "scipy", "numpy"}
