"""Script of the report: draws the figures in the colours of the page's theme."""

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
