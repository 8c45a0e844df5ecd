"""How tables look: numbers with their spread and place, as Markdown and as LaTeX."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from benchmark.writing import write_atomic

NOTHING = "—"
"""Where a table has no number."""

MINUS = "\N{MINUS SIGN}"

TABLE, PICTURE = (".csv", ".md", ".tex"), (".png", ".pdf")
"""The forms of a table and of a figure."""


@dataclass(frozen=True)
class Format:
    """What a language writes for what a table has to say.

    Args:
        best: A format with one place, for the best of several numbers.
        second: The same for the second best.
        spread: The same for a standard deviation, after its mean.
        mark: The same for a mark of significance, after its number.
        escapes: What stands for characters that mean something else in the language.
    """

    best: str
    second: str
    spread: str
    mark: str
    escapes: Mapping[str, str]

    def text(self, words: str) -> str:
        """Plain words, as the language prints them."""
        return words.translate({ord(sign): name for sign, name in self.escapes.items()})

    def number(self, value: float, spread: float = 0, place: float = 0, mark: str = "") -> str:
        """Four decimals; a dash for NaN, and no spread where it is 0.

        Args:
            value: A mean.
            spread: Its standard deviation.
            place: 1 for the best, 2 for the second best.
            mark: Of significance.
        """
        if pd.isna(value):
            return NOTHING
        text = f"{value:.4f}" + (self.spread.format(f"{spread:.4f}") if spread else "")
        styled = {1: self.best, 2: self.second}.get(int(place), "{}").format(text)
        return styled + (self.mark.format(self.text(mark)) if mark else "")


BREAKS = dict.fromkeys("\n\r\t\v\f\0\x1b\x85\u2028\u2029", " ")
"""Signs that end a line, and with it a row, or that no file of text should hold."""

MARKDOWN = Format(
    best="**{}**",
    second="<u>{}</u>",
    spread=" ± {}",
    mark="<sup>{}</sup>",
    escapes={sign: rf"\{sign}" for sign in "|*[]`"} | {"<": "&lt;", ">": "&gt;", **BREAKS},
)
LATEX = Format(
    best=r"\textbf{{{}}}",
    second=r"\underline{{{}}}",
    spread=r" $\pm$ {}",
    mark=r"\textsuperscript{{{}}}",
    escapes={sign: rf"\{sign}" for sign in "%_&#${}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    | {
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "±": r"$\pm$",
        "†": r"\textdagger{}",
        MINUS: "$-$",
        **BREAKS,
    },
)


PLAIN = Format(best="{}", second="{}", spread=" ± {}", mark="", escapes={})
"""Numbers alone; what is to be seen of places and marks is up to the reader of the cells."""


def percent(value: float) -> str:
    """A change with its sign, or that there is none."""
    return NOTHING if pd.isna(value) else f"{value:+.2f} %".replace("-", MINUS)


def p_text(p: float, equals: str = "") -> str:
    """Three decimals, after ``equals`` unless it is too small for these; empty for NaN."""
    if pd.isna(p):
        return ""
    return f"{equals}{p:.3f}" if p >= 0.001 else "< 0.001"


def two_digits(value: float) -> str:
    """Two significant digits, never in powers of ten: 130, 2.7, 0.000021."""
    return np.format_float_positional(value, precision=2, fractional=False, trim="-")


def places(mean: pd.DataFrame) -> pd.DataFrame:
    """Places in every column, 1 for the highest value and 0 for none; equals share one.

    They are those of the exact values, not of the rounded ones. A value of 0 has none.
    """
    return mean.where(mean != 0).rank(ascending=False, method="min").fillna(0)


def numbers(
    mean: pd.DataFrame,
    deviation: pd.DataFrame,
    form: Format,
    marks: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Numbers as text; of every column the best and the second best stand out.

    Args:
        mean: One row per competitor, one column per metric.
        deviation: Standard deviations, at the same places.
        form: The language.
        marks: Marks of significance by row and column; those that are missing are none.
    """
    ranks = places(mean)
    marks = pd.DataFrame() if marks is None else marks
    marks = marks.reindex_like(mean).astype(object).fillna("")
    return pd.DataFrame(
        {
            name: list(map(form.number, mean[name], deviation[name], ranks[name], marks[name]))
            for name in mean
        },
        index=mean.index,
    )


def markdown(table: pd.DataFrame) -> str:
    """A table whose first column is its index, which is left-aligned; the others hold numbers."""
    aligned = ("left", *("right" for _ in table))
    rows, columns = ([MARKDOWN.text(str(n)) for n in axis] for axis in (table.index, table))
    shown = table.set_axis(rows).set_axis(columns, axis=1).rename_axis(str(table.index.name or ""))
    return str(shown.to_markdown(disable_numparse=True, colalign=aligned))


def page(*parts: str) -> str:
    """The paragraphs of a Markdown file; those that are empty are left out."""
    return "\n\n".join(filter(None, parts)) + "\n"


def listed(sentences: Iterable[str]) -> str:
    """Plain sentences as a list in Markdown."""
    return "\n".join(f"- {MARKDOWN.text(sentence)}" for sentence in sentences)


def latex(
    blocks: Sequence[pd.DataFrame],
    caption: str,
    label: str,
    groups: Mapping[str, int] | None = None,
) -> str:
    r"""A ``table`` that shrinks to the width at hand; one of many columns spans both of a page.

    Args:
        blocks: The table's rows, with a rule between two blocks; the index is the first column.
            Cells are LaTeX, names of rows and columns are plain words.
        caption: In plain words.
        label: What ``\ref`` takes, after ``tab:``.
        groups: Headings over this many columns each, from the second column on.
    """
    head, first = [], 2
    for heading, width in (groups or {}).items():
        cell = rf"\multicolumn{{{width}}}{{c}}{{{LATEX.text(heading)}}}"
        head.append((cell, rf"\cmidrule(lr){{{first}-{first + width - 1}}}"))
        first += width
    names = [str(blocks[0].index.name or ""), *map(str, blocks[0])]
    lines = [_row(["", *(cell for cell, _ in head)]), "".join(rule for _, rule in head)]
    lines = [*(lines if head else ()), _row(map(LATEX.text, names))]
    for block in blocks:
        lines.append(r"\midrule")
        lines += [_row([LATEX.text(str(name)), *cells]) for name, *cells in block.itertuples()]
    environment = "table*" if len(names) > 6 else "table"
    return "\n".join(
        [
            rf"\begin{{{environment}}}",
            r"\centering",
            rf"\caption{{{LATEX.text(caption)}}}",
            rf"\label{{tab:{label}}}",
            r"\begin{adjustbox}{max width=\linewidth}",
            rf"\begin{{tabular}}{{l{'r' * (len(names) - 1)}}}",
            r"\toprule",
            *lines,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{adjustbox}",
            rf"\end{{{environment}}}",
            "",
        ]
    )


def save(path: Path, table: pd.DataFrame, text: str, tex: str) -> None:
    """Write the three forms of a table.

    Args:
        path: Without a suffix.
        table: Exact values, for ``.csv``.
        text: Markdown, for ``.md``.
        tex: LaTeX, for ``.tex``.
    """
    csv, md, printed = (path.with_name(path.name + suffix) for suffix in TABLE)
    write_atomic(csv, table.to_csv(lineterminator="\n"))
    write_atomic(md, text)
    write_atomic(printed, f"% needs \\usepackage{{booktabs,adjustbox}}\n{tex}")


def remove(folder: Path, name: str, suffixes: Sequence[str]) -> None:
    """Take files away that are no longer what the rows say."""
    for suffix in suffixes:
        (folder / f"{name}{suffix}").unlink(missing_ok=True)


def _row(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"
