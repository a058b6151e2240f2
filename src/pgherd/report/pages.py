"""Tables as Markdown and as a page of HTML: what they hold is text there. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape

from pgherd.fleet.summary import Table

BAR_WIDTH, BAR_HEIGHT, BAR_GAP = 14, 60, 4
STYLE = """\
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 72em; padding: 0 1em;
       color: #1c2733; background: #fff; }
h1 { font-size: 1.6em; } h2 { font-size: 1.2em; margin-top: 2em; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .35em .8em .35em 0; border-bottom: 1px solid #d8dfe6;
         vertical-align: top; white-space: nowrap; }
td:last-child { white-space: normal; overflow-wrap: anywhere; }
th { font-weight: 600; } td { font-variant-numeric: tabular-nums; }
.good { color: #116b3c; } .bad { color: #b3261e; font-weight: 600; }
figure { display: inline-block; margin: 0 2em 1em 0; }
figcaption { font-size: .85em; color: #51606e; }
svg text { font: 11px system-ui, sans-serif; fill: #51606e; }
@media print { body { margin: 0; max-width: none; } }
@media (prefers-color-scheme: dark) {
  body { color: #dfe6ec; background: #14191f; } th, td { border-color: #323c46; }
  .good { color: #63c78d; } .bad { color: #ff8a80; }
  figcaption, svg text { color: #9aa8b5; fill: #9aa8b5; }
}
"""
SPECIAL = re.compile(r"([\\`*_{}\[\]<>()#+!|~&])")


def markdown(title: str, lines: Sequence[str], tables: Iterable[Table]) -> str:
    """A heading, lines of text, and tables, each below its title."""
    parts = [f"# {plain(title)}", *(plain(line) for line in lines)]
    for table in tables:
        rows = "\n".join(_markdown_rows(table))
        parts.append(f"## {plain(table.title)}\n\n{rows}")
    return "\n\n".join(parts)


def plain(text: str) -> str:
    """Text that Markdown reads as nothing but itself, on one line."""
    return SPECIAL.sub(r"\\\1", _printable(text))


def _markdown_rows(table: Table) -> Iterator[str]:
    yield f"| {' | '.join(plain(cell) for cell in table.header)} |"
    yield f"|{'---|' * len(table.header)}"
    for row in table.rows:
        yield f"| {' | '.join(plain(cell) for cell in row)} |"


def page(
    title: str,
    lines: Sequence[str],
    tables: Iterable[Table],
    charts: Iterable[str] = (),
    classes: Mapping[str, str] | None = None,
) -> str:
    """The same as a page that stands alone, with charts between text and tables.

    `classes` are of whole cells.
    """
    body = [f"<h1>{safe(title)}</h1>", *(f"<p>{safe(line)}</p>" for line in lines), *charts]
    for table in tables:
        body.append(f"<h2>{safe(table.title)}</h2>")
        body.append(_html_table(table, classes or {}))
    return (
        "<!DOCTYPE html>\n"
        '<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width">\n'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "style-src 'unsafe-inline'\">\n"
        f"<title>{safe(title)}</title>\n<style>\n{STYLE}</style></head>\n<body>\n"
        + "\n".join(body)
        + "\n</body></html>\n"
    )


def bars(caption: str, values: Sequence[tuple[float | None, str]], limit: float | None) -> str:
    """A chart: a bar for each value with its words, a red one for None, and a line at the limit."""
    known = [value for value, _ in values if value is not None]
    highest = max([*known, limit or 0.0, 1e-9])
    width = max(1, len(values)) * (BAR_WIDTH + BAR_GAP)
    shapes = []
    for place, (value, words) in enumerate(values):
        height = BAR_HEIGHT if value is None else max(1.0, BAR_HEIGHT * value / highest)
        colour = "#b3261e" if value is None else "#2f7dd1"
        shapes.append(
            f'<rect x="{place * (BAR_WIDTH + BAR_GAP)}" y="{BAR_HEIGHT - height:.1f}" '
            f'width="{BAR_WIDTH}" height="{height:.1f}" fill="{colour}">'
            f"<title>{safe(words)}</title></rect>"
        )
    if limit is not None:
        y = BAR_HEIGHT - BAR_HEIGHT * limit / highest
        shapes.append(
            f'<line x1="0" x2="{width}" y1="{y:.1f}" y2="{y:.1f}" stroke="#116b3c" '
            'stroke-dasharray="4 3"></line>'
        )
    return (
        f'<figure><svg role="img" width="{width}" height="{BAR_HEIGHT + 1}" '
        f'viewBox="0 -1 {width} {BAR_HEIGHT + 2}">{"".join(shapes)}</svg>'
        f"<figcaption>{safe(caption)}</figcaption></figure>"
    )


def safe(text: str) -> str:
    """Text that HTML reads as nothing but itself."""
    return escape(_printable(text))


def _printable(text: str) -> str:
    """With an escape for each character that does not print, line ends too."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _html_table(table: Table, classes: Mapping[str, str]) -> str:
    head = "".join(f"<th>{safe(cell)}</th>" for cell in table.header)
    rows = "\n".join(
        "<tr>" + "".join(_cell(cell, classes) for cell in row) + "</tr>" for row in table.rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>\n{rows}\n</tbody></table>"


def _cell(cell: str, classes: Mapping[str, str]) -> str:
    kind = classes.get(cell)
    return f'<td class="{kind}">{safe(cell)}</td>' if kind else f"<td>{safe(cell)}</td>"
