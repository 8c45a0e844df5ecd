"""Words that mean something elsewhere, and what becomes of them where they are shown."""

from __future__ import annotations

WORDS = (
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "a|b", "[x](javascript:alert(1))",
    "![x](http://example.org/x.png)", r"\input{/etc/passwd}", "$x$ % & # _ ^ ~ {", "`x`", "*x*",
    "{{ 7 * 7 }}",
)  # fmt: skip
"""In every title, label and message of the tests."""

FORMULAS = ("=cmd()", "+1+1", "-2+3", "@SUM(A1)")
"""How titles begin."""

SINKS = (
    ("`report.html`", "escaped by the template; nothing is loaded, no script may run (CSP)"),
    ("`report.md`, `intents.md`, tables in Markdown",
     "escaped: no HTML, link or picture, and every row has as many cells as its header"),
    ("tables in LaTeX", "escaped: no command that is not the table's own"),
    ("`intents.csv`, `figure4.csv`",
     "a text that begins with `=`, `+`, `-` or `@` gets an apostrophe before it, so that no "
     "spreadsheet takes it for a formula"),
    ("`runs.csv`, `trials.csv`, `intents/`, a converted `items.csv`",
     "kept as they are, since they are read again: open them as text"),
    ("terminal, `reason` in `runs.csv`", "on one line, control characters as `?`"),
    ("names of data sets and modalities",
     "refused unless they are letters, digits, spaces, `_`, `-`, `.` and little more"),
)  # fmt: skip
"""Where words are shown, and what becomes of them."""
