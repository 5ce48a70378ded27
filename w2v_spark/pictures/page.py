"""A page in one HTML file: no script, nothing from elsewhere, readable on a phone, in the dark and on paper."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

from w2v_spark.vectors.text import shown

_STYLE = """\
:root { color-scheme: light dark; --ink: #1b1f24; --dim: #59636e; --paper: #fff; --rule: #d1d9e0; --soft: #f3f5f8;
  --accent: #0067b0; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --dim: #9aa5b1; --paper: #12161c; --rule: #333c47;
  --soft: #1b222b; --accent: #62b0f5; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 64rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0.5rem 0; }
h2 { font-size: 1.2rem; margin: 2rem 0 0.5rem; border-bottom: 1px solid var(--rule); padding-bottom: 0.25rem; }
h3 { font-size: 1rem; margin: 1.2rem 0 0.4rem; }
p { margin: 0.5rem 0; max-width: 46rem; }
.note { color: var(--dim); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr)); gap: 0.6rem; margin: 1rem 0; }
.tiles div { background: var(--soft); border-radius: 0.5rem; padding: 0.6rem 0.8rem; }
.tiles b { display: block; font-size: 1.25rem; line-height: 1.3; font-variant-numeric: tabular-nums; }
.tiles span { color: var(--dim); font-size: 0.875rem; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); gap: 1rem 1.5rem; }
.scroll { overflow-x: auto; margin: 0.5rem 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 0.9375rem; }
th, td { text-align: left; padding: 0.25rem 0.8rem 0.25rem 0; border-bottom: 1px solid var(--rule);
  vertical-align: top; overflow-wrap: normal; }
th { color: var(--dim); font-weight: 600; }
.r { text-align: right; white-space: nowrap; }
td.w { min-width: 12rem; }
td.w span { white-space: nowrap; }
td.w i { color: var(--dim); font-style: normal; }
tr.total td { font-weight: 600; }
.bar { display: inline-block; vertical-align: middle; width: 8rem; height: 0.7rem; background: var(--soft);
  border: 1px solid var(--rule); border-radius: 0.2rem; }
.bar i { display: block; height: 100%; background: var(--accent); }
@media (max-width: 32rem) { .bar { width: 4rem; } }
.chart { display: block; width: 100%; max-width: 36rem; height: auto; }
.chart text { fill: var(--dim); font: 15px system-ui, sans-serif; font-variant-numeric: tabular-nums; }
.chart .label { fill: var(--ink); }
.chart .grid { stroke: var(--rule); stroke-width: 1; }
.chart .line { fill: none; stroke: var(--accent); stroke-width: 2; stroke-linejoin: round; }
.chart circle { fill: var(--accent); }
"""


class Markup(str):
    """Text that is HTML already; any other text is escaped where it goes into a page."""


def text(value: object) -> Markup:
    """A value as HTML that shows it, with what is not printable as escapes."""
    return value if isinstance(value, Markup) else Markup(html.escape(shown(str(value))))


def markup(form: str, *values: object) -> Markup:
    """HTML with a value for each {}."""
    return Markup(form.format(*map(text, values)))


def joined(parts: Iterable[Markup], between: str = "\n") -> Markup:
    """HTML after HTML."""
    return Markup(between.join(parts))


def page(title: str, parts: Iterable[Markup]) -> str:
    """A whole page. The policy in its head forbids a browser to fetch or to run anything."""
    return (
        "<!DOCTYPE html>\n"
        '<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        f"<title>{text(title)}</title>\n<style>\n{_STYLE}</style>\n</head>\n<body>\n<h1>{text(title)}</h1>\n"
        f"{joined(parts)}\n</body>\n</html>\n"
    )


def section(heading: str, *parts: Markup) -> Markup:
    """Parts under a heading."""
    return markup("<section>\n<h2>{}</h2>\n{}\n</section>", heading, joined(parts))


def note(sentence: str) -> Markup:
    """A sentence that explains."""
    return markup('<p class="note">{}</p>', sentence)


def tiles(facts: Sequence[tuple[str, str]]) -> Markup:
    """A few (number, what it is), large."""
    each = joined(markup("<div><b>{}</b><span>{}</span></div>", number, what) for number, what in facts)
    return markup('<div class="tiles">\n{}\n</div>', each)


def table(header: Sequence[str], rows: Iterable[Sequence[object]], columns: str, totals: int = 0) -> Markup:
    """A table that scrolls in its own box where it is too wide. `columns` has a letter for each column: l flush left,
    r flush right (numbers), w for texts that want room; the last `totals` rows stand out.
    """
    body = [list(row) for row in rows]
    lines = [_row("th", header, columns, "head")] if any(header) else []
    first_total = len(body) - totals
    lines += [_row("td", row, columns, "total" if n >= first_total else "one") for n, row in enumerate(body)]
    return markup('<div class="scroll"><table>\n{}\n</table></div>', joined(lines))


def facts(pairs: Iterable[tuple[str, object]]) -> Markup:
    """A table of names and values."""
    return table(("", ""), pairs, "ll")


def bar(share: float) -> Markup:
    """A share from 0 to 1 as a bar."""
    return markup('<span class="bar"><i style="width:{}%"></i></span>', f"{100 * min(max(share, 0.0), 1.0):.1f}")


def percent(share: float | None) -> str:
    """A share as text, a dash where there is none."""
    return "-" if share is None else f"{100 * share:.1f} %"


def _row(kind: str, cells: Sequence[object], columns: str, name: str) -> Markup:
    form = f'<{kind} class="{{}}">{{}}</{kind}>'
    each = joined((markup(form, column, cell) for cell, column in zip(cells, columns, strict=True)), "")
    return markup('<tr class="{}">{}</tr>', name, each)
