"""Style sheet of the report: light and dark, wide and narrow."""

CSS = """
:root {
  color-scheme: light dark;
  --page: #f6f7f9; --card: #ffffff; --text: #1b1f27; --soft: #5b6472; --line: #dfe3e9;
  --grid: #e8ebf0; --accent: #0072b2; --good: #00734f; --bad: #a8480a;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #101318; --card: #181c23; --text: #e8ebf0; --soft: #a3adba; --line: #2b313b;
    --grid: #262c35; --accent: #6cbcf0; --good: #4fd1a5; --bad: #ffa466;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--page); color: var(--text); line-height: 1.5;
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
}
main { max-width: 1160px; margin: 0 auto; padding: 32px 24px 64px; }
a { color: var(--accent); }
a:focus-visible, summary:focus-visible, [tabindex]:focus-visible {
  outline: 3px solid var(--accent); outline-offset: 2px; border-radius: 4px;
}
.skip { position: absolute; left: -9999px; }
.skip:focus { left: 16px; top: 16px; background: var(--card); padding: 8px 16px; z-index: 9; }
.eyebrow { display: flex; flex-wrap: wrap; gap: 12px; align-items: center; color: var(--soft); }
.eyebrow b { color: var(--text); }
.pill { border: 1px solid var(--line); border-radius: 99px; padding: 1px 12px; font-size: 14px; }
.pill::before { content: "\\25CF"; margin-right: 7px; color: var(--soft); font-size: 11px; }
.pill.finished::before { color: var(--good); }
.pill.running::before { color: var(--accent); }
.pill.interrupted::before { color: var(--bad); }
h1 {
  font-size: clamp(22px, 3.1vw, 34px); line-height: 1.25; margin: 12px 0 24px; font-weight: 650;
  letter-spacing: -0.01em; text-wrap: balance; overflow-wrap: anywhere;
}
h1 span.line { display: block; margin-bottom: 12px; }
h1 small { display: block; margin-top: 6px; font-size: 16px; line-height: 1.45; font-weight: 400;
  letter-spacing: 0; color: var(--soft); text-wrap: wrap; }
h1.many small { font-size: 15px; margin-top: 0; }
h1.many { font-size: 17px; line-height: 1.4; }
h1.many span.line { margin-bottom: 4px; }
h2 { font-size: 24px; margin: 40px 0 16px; letter-spacing: -0.01em; }
h3 { font-size: 17px; margin: 0 0 2px; }
.card {
  background: var(--card); border: 1px solid var(--line); border-radius: 12px;
  padding: 20px 22px; margin: 0 0 20px; min-width: 0;
}
.card > p { color: var(--soft); margin: 0 0 12px; font-size: 15px; }
.grids { display: grid; grid-template-columns: repeat(auto-fit, minmax(250px, 1fr)); gap: 20px; }
.grids figure { margin: 0; }
.grids img {
  display: block; width: 100%; height: auto; border-radius: 6px; background: var(--grid);
  image-rendering: pixelated;
}
figcaption { display: flex; justify-content: space-between; gap: 12px; margin: 0 0 8px; }
figcaption .fid { font-weight: 650; white-space: nowrap; }
.grids p { color: var(--soft); font-size: 14px; margin: 8px 0 0; overflow-wrap: anywhere; }
.grids p:empty { display: none; }
h1 .formula { font-weight: 450; color: var(--accent); }
.winner figcaption b { color: var(--accent); }
.winner img { outline: 3px solid var(--accent); outline-offset: 2px; }
.facts {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(140px, 1fr)); gap: 16px 24px;
  margin: 0 0 20px; padding: 0 4px;
}
.facts div { min-width: 0; }
.facts dt { color: var(--soft); font-size: 14px; }
.facts dd { margin: 0; font-size: 22px; font-weight: 650; font-variant-numeric: tabular-nums; }
.facts dd small { font-size: 14px; font-weight: 400; color: var(--soft); }
.two { display: grid; grid-template-columns: minmax(0, 5fr) minmax(0, 4fr); gap: 20px; }
.two table { font-size: 14px; } .two td, .two th { padding-right: 9px; }
.plot { height: 430px; width: 100%; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 15px; }
th { text-align: left; color: var(--soft); font-weight: 500; font-size: 14px; }
th, td { padding: 7px 14px 7px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
tr:last-child > td { border-bottom: 0; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td.n:last-child, th.n:last-child { padding-right: 0; }
tr.reference td { background: color-mix(in srgb, var(--soft) 10%, transparent); }
tr.first td { font-weight: 650; }
.schedule, .wide { min-width: 220px; overflow-wrap: break-word; }
td.schedule { position: relative; padding-left: 20px; }
.chip { position: absolute; left: 0; top: 13px; width: 11px; height: 11px; border-radius: 3px; }
.bar { display: block; height: 4px; border-radius: 2px; margin: 3px 0 0 auto;
  background: currentColor; opacity: 0.45; }
td small { display: block; font-size: 13px; font-weight: 400; color: var(--soft); }
.card p.note { color: var(--soft); font-size: 14px; margin: 10px 0 0; }
.card .facts { grid-template-columns: repeat(auto-fit, minmax(104px, 1fr)); margin: 14px 0;
  padding: 0; }
.better { color: var(--good); } .worse { color: var(--bad); }
summary { cursor: pointer; color: var(--accent); padding: 8px 0; }
dl.pairs { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: 5px 24px;
  margin: 0; font-size: 15px; }
dl.pairs dt { color: var(--soft); }
dl.pairs dd { margin: 0; overflow-wrap: anywhere; }
pre {
  overflow-x: auto; font-size: 13px; background: var(--page); padding: 14px; border-radius: 8px;
}
nav { display: flex; flex-wrap: wrap; gap: 8px 20px; margin: 0 0 20px; }
footer { color: var(--soft); font-size: 14px; margin-top: 32px; }
@media (max-width: 860px) { .two { grid-template-columns: minmax(0, 1fr); gap: 0; } }
@media (max-width: 560px) {
  main { padding: 20px 14px 48px; }
  .card { padding: 16px 14px; }
  .facts { grid-template-columns: repeat(2, minmax(0, 1fr)); }
  dl.pairs { grid-template-columns: minmax(0, 1fr); gap: 0; }
  dl.pairs dd { margin-bottom: 8px; }
}
@media print { body { background: #fff; } .card { break-inside: avoid; } }
"""
