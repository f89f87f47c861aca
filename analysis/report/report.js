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
  return trial ? `${trial.name}, seed ${trial.seed}: ${label(trial.schedule)}` : "";
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
  const parts = hex ?? /^rgb\((\d+), *(\d+), *(\d+)\)$/.exec(color)?.slice(1).map(Number);
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
  const name = trial.name[0].toUpperCase() + trial.name.slice(1);
  document.getElementById("panel-title").textContent = `${name} of ${trial.model}`;
  panel.querySelector(".chip").style.setProperty("--family", trial.color);
  for (const name of ["schedule", "seed", "configuration", "state"]) {
    part(name).textContent = trial[name];
  }
  part("fid").textContent = trial.fid || "none";
  const note = document.createElement("small");
  note.textContent = trial.note;
  part("fid").append(" ", note);
  const found = samples(number);
  fill(panel.querySelector("figure.own"), found?.url, `Samples of ${trial.name}`);
  const real = found && document.querySelector("main .real img")?.src;  // to compare with
  fill(panel.querySelector("figure.real"), real, "Real data");
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

// What a row is sorted by: the number that its cell begins with, else the text; nothing is last.
function sortKey(row, column) {
  const nodes = [...row.cells[column].childNodes].filter((node) => node.nodeType === Node.TEXT_NODE);
  const text = nodes.map((node) => node.data).join("").trim();
  if (text === "reference") return 0;  // vanilla's difference from itself
  const number = Number.parseFloat(text.replaceAll(",", "").replace("\u2212", "-"));
  return text === "" ? Infinity : Number.isNaN(number) ? text : number;
}

// All rows of a leaderboard; its tables, the folded one too, keep their lengths.
function sortBoard(heading) {
  const board = heading.closest(".board"), column = heading.cellIndex;
  const order = heading.ariaSort === "ascending" ? "descending" : "ascending";
  const bodies = [...board.querySelectorAll("tbody")];
  const lengths = bodies.map((body) => body.rows.length);
  const rows = bodies.flatMap((body) => [...body.rows])
    .map((row) => ({row, key: sortKey(row, column)}));
  rows.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0)
    * (order === "ascending" || a.key === Infinity || b.key === Infinity ? 1 : -1));
  for (const head of board.querySelectorAll("th")) {
    head.ariaSort = head.cellIndex === column ? order : null;
  }
  let next = 0;
  bodies.forEach((body, i) => {
    body.append(...rows.slice(next, next += lengths[i]).map(({row}) => row));
  });
}

document.addEventListener("click", (event) => {
  if (event.target === panel) panel.close();  // the backdrop
  const button = event.target.closest("button");
  if (button?.dataset.step) step(Number(button.dataset.step));
  if (button?.classList.contains("close")) panel.close();
  if (button?.classList.contains("sort")) sortBoard(button.closest("th"));
  const row = getSelection().isCollapsed ? event.target.closest("tbody tr") : null;
  const number = (button ?? row?.querySelector("[data-trial]"))?.dataset.trial;
  if (number !== undefined) show(number);
});
panel.addEventListener("keydown", (event) => {
  if (event.key === "ArrowLeft") step(-1);
  if (event.key === "ArrowRight") step(1);
});

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
