"""The page on hostile input, from what the tests declare: ``python tests/hostile_page.py``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1]))

from hostile_inputs import FILES, INPUTS
from hostile_targets import LAYOUTS
from hostile_words import SINKS, WORDS
from test_hostile_fuzz import FIGURES

PAGE = Path(__file__).parents[1] / "docs" / "hostile_input.md"
TEXT = """\
# Hostile input

Data come from anywhere. Whatever a file turns out to be, it is either read as what it says, or
refused in one line that names it and says what to do; nothing in it is executed, nothing outside
its folder is read or written, and time and memory have bounds. This page is made from the tables
that the tests go through, by `python tests/hostile_page.py`, and a test compares the two.

## What a file may be

{kinds}

{inputs}

Tested by `tests/test_hostile_inputs.py`, each on every file of the kind. The rules behind it:

- A link may lead to what is beside or below it in its folder, and nowhere else; the folder of a
  data set may be a link itself. Links to folders within it are not followed.
- What is parsed as a whole may have half as many bytes as the machine has memory. Arrays stay on
  disk until they are used, and have at most 10^10 numbers.
- An archive of arrays is judged by the sizes that it declares before it is unpacked, to 4 GiB at
  most, and never gives more than it declared. A Parquet table is judged by its number of fields.
- Pickles are never run. The lists of MMGCN's layout are pickles, and are read by an interpreter
  that knows nothing but lists of whole numbers (`benchmark/datasets/object_arrays.py`).
- Plug-ins are programs and run as such: name only folders with `--plugins` that you trust.

## What words may say

Titles, names and messages end in pages, tables and terminals. {attacks} are put into all of
them by `tests/test_hostile_words.py`:

{sinks}

## What the program does not do

`tests/test_forbidden_calls.py` goes through the syntax trees of `models/`, `baselines/` and
`benchmark/` and finds no `eval`, `exec`, `os.system`, shell, `torch.load` without `weights_only`,
`numpy.load` with pickles, unsafe YAML or XML parser; it names the exceptions with their reasons.

## Inputs tried

`tests/test_hostile_fuzz.py` cuts, flips, inserts, removes, repeats and replaces bytes, lines and
numbers, in members of archives as well. `HOSTILE_INPUTS=20000` tries that many per layout; what it
came to, last time:

{figures}
"""


def text() -> str:
    """The page."""
    kinds = {
        kind: ", ".join(f"`{file}` ({LAYOUTS[layout].title})" for layout, file in files)
        for kind, files in FILES.items()
    }
    inputs = [
        {"input": each.title, **{kind: each.outcomes.get(kind, "") for kind in FILES}}
        for each in INPUTS
    ]
    return TEXT.format(
        kinds=table([{"kind": kind, "files": files} for kind, files in kinds.items()]),
        inputs=table(inputs),
        attacks=", ".join(f"`{word}`" if "`" not in word else "backticks" for word in WORDS),
        sinks=table([{"where": where, "what becomes of them": what} for where, what in SINKS]),
        figures=table(pd.read_csv(FIGURES).to_dict("records")),
    )


def table(rows: Sequence[Any]) -> str:
    return str(pd.DataFrame(list(rows)).to_markdown(index=False, disable_numparse=True))


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(text(), encoding="utf-8")
