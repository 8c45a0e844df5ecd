"""Markdown files of the results as parts of a page."""

from __future__ import annotations

import re

from markdown_it import MarkdownIt
from markupsafe import Markup

from benchmark.outputs.layout import MINUS, NOTHING

# no HTML: what a title or a label holds is shown as it is; no pictures: the page embeds its own
MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
STYLES = re.compile(r"&lt;(/?)(u|sup)&gt;")
NUMBER = re.compile(rf"{NOTHING}|(?=.*\d)(</?(u|sup)>|p =|&lt;|[-+±<\d.,%()\[\]\\*†\se{MINUS}])+")
TABLE = '<div class="scroll" tabindex="0" role="region" aria-label="Table"><table>'


def html(text: str, level: int) -> Markup:
    """Markdown as HTML; of HTML in it only ``<u>`` and ``<sup>`` count, all else is shown as text.

    The title at its beginning is left out, for the page has one in its place. Tables get what all
    tables of the page have: a frame to scroll in, headings of rows and columns, and numbers
    aligned as such.

    Args:
        text: Markdown with tables.
        level: Of its highest headings in the page.
    """
    tokens = MARKDOWN.parse(text)
    if tokens and (tokens[0].type, tokens[0].tag) == ("heading_open", "h1"):
        del tokens[:3]  # opened, its words, closed
    headings = [token for token in tokens if token.type in ("heading_open", "heading_close")]
    deeper = level - min((int(token.tag[1]) for token in headings), default=level)
    for token in headings:
        token.tag = f"h{min(int(token.tag[1]) + deeper, 6)}"
    starts = {place + 1 for place, token in enumerate(tokens) if token.type == "tr_open"}
    for place, token in enumerate(tokens):
        token.attrs.pop("style", None)
        if token.type == "th_open":
            token.attrs["scope"] = "col"
        elif token.type == "td_open" and place in starts:
            token.tag = tokens[place + 2].tag = "th"  # open, content, close
            token.attrs["scope"] = "row"
        elif token.type == "td_open" and NUMBER.fullmatch(tokens[place + 1].content):
            token.attrs["class"] = "number"
    page = MARKDOWN.renderer.render(tokens, MARKDOWN.options, {})
    page = page.replace("<table>", TABLE).replace("</table>", "</table></div>")
    # the renderer has escaped all other HTML
    return Markup(STYLES.sub(r"<\1\2>", page))  # nosec B704
