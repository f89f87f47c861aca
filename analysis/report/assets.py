"""Style sheet of the report: light and dark, wide and narrow."""

CSS = """
:root {
  color-scheme: light dark;
  --page: #f6f7f9; --card: #ffffff; --text: #1b1f27; --soft: #5b6472; --line: #dfe3e9;
  --grid: #e8ebf0; --accent: #0072b2; --good: #00734f; --bad: #a8480a; --pure: 100%;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #101318; --card: #181c23; --text: #e8ebf0; --soft: #a3adba; --line: #2b313b;
    --grid: #262c35; --accent: #6cbcf0; --good: #4fd1a5; --bad: #ffa466; --pure: 72%;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--page); color: var(--text); line-height: 1.5;
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
}
main { max-width: 1160px; margin: 0 auto; padding: 32px 24px 64px; }
a { color: var(--accent); }
a:focus-visible, button:focus-visible, summary:focus-visible, [tabindex]:focus-visible {
  outline: 3px solid var(--accent); outline-offset: 2px; border-radius: 4px;
}
.skip { position: absolute; left: -9999px; }
.skip:focus { left: 16px; top: 16px; background: var(--card); padding: 8px 16px; z-index: 9; }
.eyebrow { display: flex; flex-wrap: wrap; gap: 12px; align-items: center; color: var(--soft); }
.eyebrow b { color: var(--text); }
.pill { border: 1px solid var(--line); border-radius: 99px; padding: 1px 12px; font-size: 14px; }
.pill::before { content: "\\25CF"; margin-right: 7px; color: var(--soft); font-size: 11px; }
.pill.finished::before { color: var(--good); }
.pill.running::before, .pill.confirming::before { color: var(--accent); }
.pill.interrupted::before { color: var(--bad); }
h1 { font: inherit; margin: 0; }
.sentence {
  font-size: clamp(21px, 2.7vw, 30px); line-height: 1.28; margin: 0 0 16px; font-weight: 650;
  letter-spacing: -0.01em; text-wrap: pretty; overflow-wrap: anywhere; color: var(--text);
}
.sentence small { display: block; margin-top: 6px; font-size: 16px; line-height: 1.45;
  font-weight: 400; letter-spacing: 0; color: var(--soft); text-wrap: wrap; }
.headlines { margin: 14px 0 22px; }
.many .sentence { font-size: 17px; line-height: 1.4; margin-bottom: 10px; }
.many .sentence small { font-size: 15px; margin-top: 0; }
h2 { font-size: 24px; margin: 40px 0 16px; letter-spacing: -0.01em; }
h3 { font-size: 17px; margin: 0 0 2px; }
.card {
  background: var(--card); border: 1px solid var(--line); border-radius: 12px;
  padding: 20px 22px; margin: 0 0 20px; min-width: 0;
}
.card > p { color: var(--soft); margin: 0 0 12px; font-size: 15px; }
.grids { display: grid; gap: 20px;
  grid-template-columns: repeat(auto-fit, minmax(min(250px, 100%), 1fr)); }
.grids figure { margin: 0; }
.grids img {
  display: block; width: 100%; height: auto; border-radius: 6px; background: var(--grid);
  image-rendering: pixelated;
}
figcaption { display: flex; justify-content: space-between; gap: 12px; margin: 0 0 8px; }
figcaption .fid { font-weight: 650; white-space: nowrap; }
.grids p { color: var(--soft); font-size: 14px; margin: 8px 0 0; overflow-wrap: anywhere; }
.grids p:empty { display: none; }
p .formula { font-weight: 450; color: var(--accent); }
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
.plot { height: 420px; width: 100%; }
.plot .nsewdrag { cursor: default; }
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
.chip { display: inline-block; width: 11px; height: 11px; border-radius: 3px;
  background: color-mix(in srgb, var(--family) var(--pure), white); }
td .chip { position: absolute; left: 0; top: 13px; }
.bar { display: block; height: 4px; border-radius: 2px; margin: 3px 0 0 auto;
  background: currentColor; opacity: 0.45; }
td small { display: block; font-size: 13px; font-weight: 400; color: var(--soft); }
.card p.note { color: var(--soft); font-size: 14px; margin: 10px 0 0; }
.card .facts { grid-template-columns: repeat(auto-fit, minmax(104px, 1fr)); margin: 14px 0;
  padding: 0; }
.better { color: var(--good); } .worse { color: var(--bad); }
button { font: inherit; color: inherit; cursor: pointer; }
.open { display: block; width: 100%; padding: 0; border: 0; background: none; border-radius: 6px; }
.trials { min-width: 96px; }
.trial {
  border: 1px solid var(--line); border-radius: 6px; background: none; color: var(--accent);
  padding: 0 6px; min-width: 28px; font-size: 14px; line-height: 21px; margin: 0 1px 3px 0;
  font-variant-numeric: tabular-nums; font-weight: 400;
}
.trial:hover, .bar button:hover:enabled { background: var(--grid); }
tbody tr:has([data-trial]) { cursor: pointer; }
tbody tr:has([data-trial]):hover td {
  background: color-mix(in srgb, var(--accent) 7%, transparent); }
.tag { border: 1px solid currentColor; border-radius: 99px; padding: 0 8px; font-size: 12.5px;
  font-weight: 500; white-space: nowrap; color: var(--soft); }
.tag.choice { color: var(--card); background: var(--accent); border-color: var(--accent); }
.tag.beats { color: var(--good); }
tr.out td { color: var(--soft); } tr.out .strip { opacity: 0.5; }
.card p:empty { display: none; }
.tags { display: inline-flex; flex-wrap: wrap; gap: 4px 6px; vertical-align: 1px; }
.card p.sentence { margin-bottom: 10px; color: var(--text); }
.card .sentence { font-size: clamp(20px, 2.3vw, 26px); }
.strips { min-width: 190px; width: 34%; padding-left: 10px; }
.verdict .trials { min-width: 200px; } .verdict .strips { width: 27%; }
.verdict .schedule { min-width: 250px; }
.importance table { table-layout: fixed; margin-bottom: 14px; }
.importance th small { display: block; font-size: 13px; font-weight: 400; }
.importance .strips { width: auto; min-width: 0; }
.importance th:first-child { width: 30%; } .importance th:last-child { width: 110px; }
th.strips { padding-bottom: 0; }
.strip { display: block; overflow: visible; fill: var(--soft); stroke: var(--soft); }
.strip.better { fill: var(--good); stroke: var(--good); }
.strip.worse { fill: var(--bad); stroke: var(--bad); }
.strip.share { fill: color-mix(in srgb, var(--accent) 55%, var(--card)); stroke: var(--text); }
.strip.share rect { stroke: none; }
.strip line { stroke-width: 2; } .strip circle { stroke: none; }
.strip .beyond { stroke: none; font-size: 17px; }
.strip .zero { stroke: var(--text); stroke-width: 1; stroke-dasharray: 2 3; }
.axis { stroke: none; font-size: 12px; font-variant-numeric: tabular-nums; }
.steps p { color: var(--soft); font-size: 14px; margin: 18px 0 6px; }
.stack { display: flex; gap: 2px; height: 14px; }
.stack span { border-radius: 3px; }
.steps ul { list-style: none; display: flex; flex-wrap: wrap; gap: 4px 18px; margin: 8px 0 0;
  padding: 0; font-size: 14px; }
.key { display: inline-block; width: 11px; height: 11px; border-radius: 3px; margin-right: 7px; }
.kept { background: var(--accent); } .spent { background: var(--bad); }
.saved { background: color-mix(in srgb, var(--good) 35%, var(--card)); }
dialog {
  background: var(--card); color: var(--text); border: 1px solid var(--line); border-radius: 14px;
  padding: 22px 24px; width: min(1040px, calc(100vw - 24px)); max-height: calc(100vh - 24px);
  box-shadow: 0 20px 60px rgb(0 0 0 / 35%);
}
dialog::backdrop { background: rgb(0 0 0 / 55%); }
dialog .bar { display: flex; align-items: center; gap: 8px; height: auto; width: auto; margin: 0;
  background: none; opacity: 1; }
dialog h2 { margin: 0 auto 0 0; font-size: 21px; overflow-wrap: anywhere; }
dialog [tabindex]:focus-visible { outline: none; }
dialog .bar button { border: 1px solid var(--line); border-radius: 8px; background: none;
  min-width: 40px; height: 36px; font-size: 18px; line-height: 1; }
dialog button:disabled { opacity: 0.35; cursor: default; }
dialog .schedule { color: var(--soft); margin: 6px 0 14px; overflow-wrap: anywhere; min-width: 0; }
dialog .schedule .chip { margin-right: 9px; }
dialog .facts small { display: block; line-height: 1.3; }
dialog .facts dd.words { font-size: 16px; line-height: 1.35; padding-top: 6px; font-weight: 500; }
dialog .grids { grid-template-columns: repeat(auto-fit, minmax(min(300px, 100%), 1fr)); }
dialog .own { order: 0; }
dialog .note { color: var(--soft); font-size: 14px; margin: 14px 0 0; }
dialog .note:empty { display: none; }
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
  dialog { padding: 14px; } dialog h2 { font-size: 18px; }
  dialog .bar button { min-width: 36px; }
  .verdict .schedule { min-width: 0; }
  :is(.verdict, .board) :is(table, tbody) { display: block; }
  :is(.verdict, .board) thead { display: none; }
  :is(.verdict, .board) tr { display: grid; grid-template-columns: 1fr 1fr; padding: 8px 0;
    border-bottom: 1px solid var(--line); }
  :is(.verdict, .board) td { border: 0; padding: 2px 0; }
  .verdict td:nth-child(2) { display: none; }
  .verdict td:nth-child(3)::before { content: "mean FID ± s.e."; }
  .verdict td:nth-child(4)::before { content: "less that of vanilla"; }
  .verdict td:nth-child(n+3):nth-child(-n+4)::before { display: block; color: var(--soft);
    font-size: 12px; font-weight: 400; }
  .board tr { grid-template-columns: 28px repeat(4, 1fr); }
  .board td:nth-child(1) { text-align: left; }
  .board td:nth-child(2), .board td.trials { grid-column: 2 / -1; min-width: 0; }
  .board td:nth-child(3) { grid-column: 2 / 4; text-align: left; }
  .board td:nth-child(4) { grid-column: 4 / -1; }
  .board td:nth-child(n+5):nth-child(-n+8) { font-size: 14px; text-align: left; }
  .board td:nth-child(5) { grid-column: 2; }
  .board td:nth-child(n+3):nth-child(-n+8)::before { display: block; color: var(--soft);
    font-size: 12px; font-weight: 400; }
  .board td:nth-child(3)::before { content: "expected FID"; }
  .board td:nth-child(4)::before { content: "against vanilla"; }
  :is(.verdict, .board) td.schedule { padding-left: 20px; }
  .board td:nth-child(5)::before { content: "runs"; }
  .board td:nth-child(6)::before { content: "mean"; }
  .board td:nth-child(7)::before { content: "lowest"; }
  .board td:nth-child(8)::before { content: "bits/dim"; }
  .board td .chip { top: 8px; }
  .verdict :is(td.schedule, td.strips, td.trials) { grid-column: 1 / -1; width: auto; }
  .verdict td .chip { top: 8px; }
  .verdict td.n { text-align: left; } .verdict .tags { display: flex; margin: 3px 0; }
  .importance th:last-child { width: 82px; } .importance .axis { display: none; }
  main { padding: 20px 14px 48px; }
  .card { padding: 16px 14px; }
  .facts { grid-template-columns: repeat(2, minmax(0, 1fr)); }
  dl.pairs { grid-template-columns: minmax(0, 1fr); gap: 0; }
  dl.pairs dd { margin-bottom: 8px; }
}
@media print { body { background: #fff; } .card { break-inside: avoid; } }
"""


SCRIPT = """
"use strict";
const dark = matchMedia("(prefers-color-scheme: dark)");
const narrow = matchMedia("(max-width: 560px)");
const data = (id) => JSON.parse(document.getElementById(id).textContent);
const {trials, orders, missing} = data("trials");
const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// Labels of Plotly know a few HTML tags and %{}.
const label = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;")
  .replaceAll(">", "&gt;").replaceAll("%{", "%&#123;");
const words = (number) => {
  const trial = trials[number];
  return trial ? `trial ${number}, seed ${trial.seed}: ${label(trial.schedule)}` : "";
};

// Each line of a trace stands for a trial: what is shown under the pointer, and a click.
function explain(trace) {
  if (trace.meta?.lines) {
    trace.text = [];
    trace.customdata = [];
    for (const [trial, points, note] of trace.meta.lines) {
      const text = note ? `${words(trial)}<br>${label(note)}` : words(trial);
      for (let i = 0; i < points; i++) { trace.text.push(text); trace.customdata.push(trial); }
    }
  } else if (trace.customdata && !trace.text) {
    trace.text = trace.customdata.map(words);
  }
}

// The families' colours are made for white; on black they are mixed with white.
function lift(color) {
  const hex = /^#(..)(..)(..)$/.exec(color)?.slice(1).map((part) => parseInt(part, 16));
  const parts = hex ?? /^rgb\\((\\d+), *(\\d+), *(\\d+)\\)$/.exec(color)?.slice(1).map(Number);
  return parts ? `rgb(${parts.map((part) => Math.round(0.72 * part + 71)).join(", ")})` : color;
}
function lighten(trace) {
  for (const part of [trace.line, trace.marker, trace.error_y]) {
    if (typeof part?.color === "string") part.color = lift(part.color);
    part?.colorscale?.forEach((stop) => { stop[1] = lift(stop[1]); });
  }
}

// Room for the legend is reserved: where Plotly finds that it has none, it draws all again.
const AXIS = 50, ROW = 22, AREA = 330;  // px
function legendRows(names, width, font) {
  const pen = document.createElement("canvas").getContext("2d");
  pen.font = font;
  let rows = 0, free = 0;
  for (const name of names) {
    const needed = pen.measureText(name).width + 46;
    if (needed > free) { rows += 1; free = width; }
    free -= needed;
  }
  return rows;
}

function themed(figure, place) {
  const {layout} = figure, size = narrow.matches ? 12 : 14;
  const family = getComputedStyle(document.body).fontFamily;
  const axis = (own) => ({...own, gridcolor: style("--grid"), linecolor: style("--line"),
    tickcolor: style("--line")});
  const margin = {...layout.margin, l: narrow.matches ? 50 : 66, r: narrow.matches ? 6 : 16};
  const names = figure.data.filter((trace) => trace.name && trace.showlegend !== false)
    .map((trace) => trace.name);
  const width = place.clientWidth - margin.l - margin.r;
  const rows = legendRows(names, width, `${size - 1}px ${family}`);
  margin.b = AXIS + (rows ? ROW * rows + 14 : 0);
  for (const bar of figure.data.map((trace) => trace.marker?.colorbar)) {
    if (!bar) continue;
    if (narrow.matches) {
      margin.b += 72;
      Object.assign(bar, {orientation: "h", y: -(AXIS + 6) / AREA, yanchor: "top", len: 0.9});
      bar.title.side = "top";
    } else {
      margin.r = 96;
    }
  }
  place.style.height = `${margin.t + AREA + margin.b}px`;
  return {...layout, margin, dragmode: false,
    font: {color: style("--text"), family, size},
    hoverlabel: {bgcolor: style("--card"), bordercolor: style("--line"), align: "left",
      font: {color: style("--text"), size: 13}},
    legend: {...layout.legend, y: -AXIS / AREA, font: {size: size - 1}},
    xaxis: axis(layout.xaxis), yaxis: axis(layout.yaxis)};
}

function drawOne(place) {
  const figure = data(place.dataset.figure);
  figure.data.forEach(explain);
  if (dark.matches) figure.data.forEach(lighten);
  const layout = themed(figure, place);
  // Not Plotly.react, which leaves the old colour bar behind when its direction changes.
  Plotly.newPlot(place, figure.data, layout,
    {responsive: true, displayModeBar: false, doubleClick: false});
  place.on("plotly_click", (event) => {
    const number = event.points.find((point) => point.customdata in trials)?.customdata;
    if (number !== undefined) show(number);
  });
}

// One after the other, so that the page can be read and scrolled meanwhile.
let round = 0;
async function draw() {
  const own = ++round;
  for (const place of document.querySelectorAll(".plot")) {
    await new Promise((resolve) => setTimeout(resolve));
    if (own !== round) return;
    drawOne(place);
  }
  performance.mark("drawn");
  restore();
}
"""


PANEL_SCRIPT = """
const panel = document.getElementById("panel");
const part = (name) => panel.querySelector(`[data-panel="${name}"]`);
let pictures = null;
let shown = null;

function samples(number) {
  const own = document.querySelector(`.open[data-trial="${number}"] img`);
  if (own) return {url: own.src, note: ""};  // not made smaller
  pictures ??= data("pictures");
  return pictures[number];
}

function show(number) {
  const trial = trials[number];
  if (!trial) return;
  shown = Number(number);
  document.getElementById("panel-title").textContent = `Trial ${number} of ${trial.model}`;
  panel.querySelector(".chip").style.setProperty("--family", trial.color);
  for (const name of ["schedule", "seed", "configuration", "state"]) {
    part(name).textContent = trial[name];
  }
  part("fid").textContent = trial.fid || "none";
  const note = document.createElement("small");
  note.textContent = trial.note;
  part("fid").append(" ", note);
  const found = samples(number);
  fill(panel.querySelector("figure.own"), found?.url, `Samples of trial ${number}`);
  const real = found && document.querySelector("main .real img")?.src;  // to compare with
  fill(panel.querySelector("figure.real"), real, "Real images");
  part("note").textContent = found ? found.note
    : missing[number] ?? "There is no picture of this trial: it is made when a run ends.";
  const order = orders.find((some) => some.includes(shown)) ?? [shown];
  for (const button of panel.querySelectorAll(".step")) {
    button.disabled = order[order.indexOf(shown) + Number(button.dataset.step)] === undefined;
  }
  if (!panel.open) {
    panel.showModal();
    document.getElementById("panel-title").focus();
  }
}

function fill(figure, url, alt) {
  figure.querySelector("img")?.remove();
  figure.hidden = !url;
  if (!url) return;
  const image = new Image();
  image.src = url;
  image.alt = `${alt}: a grid of small images`;
  figure.append(image);
}

function step(by) {
  const order = orders.find((some) => some.includes(shown)) ?? [shown];
  const next = order[order.indexOf(shown) + by];
  if (next !== undefined) show(next);
}

document.addEventListener("click", (event) => {
  if (event.target === panel) panel.close();  // the backdrop
  const button = event.target.closest("button");
  if (button?.dataset.step) step(Number(button.dataset.step));
  if (button?.classList.contains("close")) panel.close();
  const row = getSelection().isCollapsed ? event.target.closest("tbody tr") : null;
  const number = (button ?? row?.querySelector("[data-trial]"))?.dataset.trial;
  if (number !== undefined) show(number);
});
panel.addEventListener("keydown", (event) => {
  if (event.key === "ArrowLeft") step(-1);
  if (event.key === "ArrowRight") step(1);
});
"""


RELOAD_SCRIPT = """
const reload = Number(document.body.dataset.reload);
const memory = `mollitune ${location.pathname}`;
const folds = () => [...document.querySelectorAll("main details")];

// Where the reader was, before the page read itself again.
function restore() {
  const kept = JSON.parse(sessionStorage.getItem(memory) ?? "null");
  sessionStorage.removeItem(memory);
  if (!kept) return;
  folds().forEach((fold, i) => { fold.open = kept.open.includes(i); });
  scrollTo({left: 0, top: kept.top, behavior: "instant"});
}

function again() {
  // not under the eyes of somebody who looks at samples, nor in a tab that nobody sees
  if (panel.open || document.hidden) {
    setTimeout(again, 1000);
    return;
  }
  const open = folds().map((fold, i) => fold.open ? i : -1).filter((i) => i >= 0);
  sessionStorage.setItem(memory, JSON.stringify({top: scrollY, open}));
  location.reload();
}

if (reload) setTimeout(again, 1000 * reload);
draw();
dark.addEventListener("change", draw);
narrow.addEventListener("change", draw);
"""
