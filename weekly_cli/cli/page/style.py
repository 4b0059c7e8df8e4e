"""The page's style. None of its signs is one that HTML escapes, so it stands in the page as it stands here."""

from __future__ import annotations

import base64
import hashlib

#: Colours of stages, by the order of the classes `hue0` to `hue5`.
HUES = 6

STYLE = """
:root {
  color-scheme: light dark;
  --page: #f6f7f9; --card: #ffffff; --line: #dfe3e8; --grid: #eceff2; --text: #1b2430; --soft: #5b6775;
  --hue0: #0f8f7f; --hue1: #8a6fd1; --hue2: #d0870b; --hue3: #2f6fde; --hue4: #c2417c; --hue5: #66758a;
  --other: #7fa6ec; --again: #d0870b; --good: #1a7f4b; --warn: #9a6400; --bad: #c0362c;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #12161c; --card: #1a2029; --line: #2f3845; --grid: #252d38; --text: #e4e9ef; --soft: #9aa7b6;
    --hue0: #35b8a6; --hue1: #a994ea; --hue2: #e6a83c; --hue3: #5b93f5; --hue4: #e0709f; --hue5: #8896a9;
    --other: #33599f; --again: #e6a83c; --good: #4cc38a; --warn: #e6a83c; --bad: #ff7b6e;
  }
}
* { box-sizing: border-box; }
html { font: 15px/1.5 system-ui, -apple-system, Segoe UI, Roboto, Helvetica, Arial, sans-serif; }
body { margin: 0; background: var(--page); color: var(--text); -webkit-text-size-adjust: 100%; }
main, header, footer { max-width: 70rem; margin: 0 auto; padding: 0 1.25rem; }
header { padding-top: 2rem; }
footer { padding-bottom: 2.5rem; color: var(--soft); font-size: .85rem; }
h1 { margin: 0 0 .3rem; font-size: 1.55rem; line-height: 1.25; font-weight: 650; overflow-wrap: anywhere; }
h2 { margin: 0 0 .9rem; font-size: 1.1rem; font-weight: 650; }
h3 { margin: 1.3rem 0 .5rem; font-size: .95rem; font-weight: 600; }
p { margin: 0 0 .7rem; }
ul { margin: .3rem 0 0; padding-left: 1.2rem; }
li { overflow-wrap: anywhere; }
section { margin: 1.1rem 0; padding: 1.15rem 1.25rem; background: var(--card); border: 1px solid var(--line);
  border-radius: 10px; }
.data { white-space: pre-wrap; overflow-wrap: anywhere; unicode-bidi: isolate; }
.soft, .more { color: var(--soft); }
.note { color: var(--soft); font-size: .87rem; }
code { font: .92em ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; overflow-wrap: anywhere; }
.states { display: flex; flex-wrap: wrap; gap: .45rem; margin: .75rem 0 0; padding: 0; list-style: none; }
.states li { padding: .1rem .65rem; border: 1px solid currentColor; border-radius: 99px; font-size: .85rem;
  font-weight: 600; }
.good { color: var(--good); } .warn { color: var(--warn); } .bad { color: var(--bad); }
.tiles { display: grid; grid-template-columns: repeat(4, minmax(0, 1fr)); gap: .7rem; margin: 1.3rem 0; }
.tile { padding: .8rem .95rem; background: var(--card); border: 1px solid var(--line); border-radius: 10px; }
.tile dt { color: var(--soft); font-size: .8rem; }
.tile dd { margin: 0; font-size: .82rem; color: var(--soft); }
.tile .figure { font-size: 1.4rem; line-height: 1.35; font-weight: 650; color: var(--text);
  font-variant-numeric: tabular-nums; }
.tiles dl { margin: 0; }
svg { display: block; width: 100%; overflow: visible; }
svg text { font-size: 11px; fill: var(--soft); }
.grid { stroke: var(--grid); stroke-width: 1; }
.base { stroke: var(--line); stroke-width: 1; }
.back { fill: var(--grid); }
.budget { stroke: var(--bad); stroke-width: 1.5; stroke-dasharray: 5 4; }
.hue0 { fill: var(--hue0); } .hue1 { fill: var(--hue1); } .hue2 { fill: var(--hue2); }
.hue3 { fill: var(--hue3); } .hue4 { fill: var(--hue4); } .hue5 { fill: var(--hue5); }
.task { fill: var(--hue3); } .other { fill: var(--other); } .again { fill: var(--again); }
.sharp { shape-rendering: crispEdges; }
.task:hover, .other:hover, .again:hover, .sample:hover { opacity: .65; }
.swatch { display: inline-block; flex: none; width: .75rem; height: .75rem; }
.legend { display: flex; flex-wrap: wrap; gap: .3rem 1.3rem; margin: .6rem 0 0; padding: 0; list-style: none;
  font-size: .88rem; }
.legend li { display: flex; align-items: center; gap: .45rem; font-variant-numeric: tabular-nums; }
.drawing { display: grid; grid-template-columns: 6.2rem minmax(0, 1fr); column-gap: .6rem; }
.drawing ul { margin: 0; padding: 0; list-style: none; font-size: .82rem; }
.drawing .legend { margin-top: .6rem; }
.lanes li { height: 22px; line-height: 22px; white-space: nowrap; overflow: hidden;
  font-variant-numeric: tabular-nums; }
.scale { display: flex; flex-direction: column; justify-content: space-between; height: 110px;
  color: var(--soft); font-variant-numeric: tabular-nums; }
.scale li { line-height: 1; margin: -.5em 0; text-align: right; white-space: nowrap; }
.gap { grid-column: 1 / -1; height: 1.2rem; }
.wide { overflow-x: auto; }
table { width: 100%; border-collapse: collapse; font-size: .9rem; }
th, td { padding: .35rem .7rem .35rem 0; border-bottom: 1px solid var(--grid); text-align: left;
  vertical-align: top; }
thead th { color: var(--soft); font-weight: 500; font-size: .82rem; vertical-align: bottom; }
tbody th { font-weight: 500; white-space: nowrap; }
.facts tbody th { width: 9rem; color: var(--soft); white-space: normal; }
tr:last-child th, tr:last-child td { border-bottom: 0; }
.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
.finding { padding: .75rem 0; border-top: 1px solid var(--grid); }
.finding p { margin: .15rem 0 0; }
.finding:last-child { padding-bottom: 0; }
.finding:first-of-type { border-top: 0; padding-top: 0; }
details { margin-top: .6rem; }
summary { cursor: pointer; color: var(--soft); font-size: .9rem; }
@media (max-width: 40rem) {
  html { font-size: 14px; }
  main, header, footer { padding: 0 .8rem; }
  header { padding-top: 1.2rem; }
  section { padding: .95rem .85rem; }
  h1 { font-size: 1.25rem; }
  .tiles { grid-template-columns: repeat(2, minmax(0, 1fr)); gap: .5rem; }
  .tile { padding: .6rem .7rem; }
  .tile .figure { font-size: 1.15rem; }
  .drawing { grid-template-columns: 4.4rem minmax(0, 1fr); column-gap: .4rem; }
  .scale { font-size: .74rem; }
  .minor { display: none; }
  .facts tbody th { width: 6rem; }
}
@media print {
  :root { --page: #ffffff; --card: #ffffff; --text: #000000; --soft: #444444; --line: #bbbbbb; --grid: #dddddd;
    --hue0: #0f8f7f; --hue1: #8a6fd1; --hue2: #d0870b; --hue3: #2f6fde; --hue4: #c2417c; --hue5: #66758a;
    --other: #7fa6ec; --good: #1a7f4b; --warn: #9a6400; --bad: #c0362c; color-scheme: light; }
  html { font-size: 11px; }
  body { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  main, header, footer { max-width: none; padding: 0; }
  section, .tile, .finding, tr { break-inside: avoid; }
  section { padding: .8rem 0; border-width: 1px 0 0; border-radius: 0; }
}
"""


def policy() -> str:
    """Return the page's security policy: this style, and nothing else."""
    digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
