"""Script of the report: draws the figures in the colours of the page's theme."""

SCRIPT = """
"use strict";
const dark = matchMedia("(prefers-color-scheme: dark)");
const narrow = matchMedia("(max-width: 560px)");
function themed(layout) {
  const style = getComputedStyle(document.documentElement);
  const color = (name) => style.getPropertyValue(name).trim();
  const axis = (own) => ({...own, gridcolor: color("--grid"), linecolor: color("--line"),
    tickcolor: color("--line"), automargin: true});
  return {...layout,
    font: {color: color("--text"), family: getComputedStyle(document.body).fontFamily,
      size: narrow.matches ? 12 : 14},
    hoverlabel: {bgcolor: color("--card"), bordercolor: color("--line"),
      font: {color: color("--text")}},
    margin: narrow.matches ? {...layout.margin, l: 44, r: 4} : layout.margin,
    legend: {...layout.legend, y: narrow.matches ? -0.3 : -0.24},
    dragmode: false, xaxis: axis(layout.xaxis), yaxis: axis(layout.yaxis)};
}
function draw() {
  for (const place of document.querySelectorAll(".plot")) {
    const figure = JSON.parse(document.getElementById(place.dataset.figure).textContent);
    const bars = figure.data.map((trace) => trace.marker?.colorbar).filter((bar) => bar);
    for (const bar of narrow.matches ? bars : []) {
      Object.assign(bar, {orientation: "h", y: -0.25, yanchor: "top", len: 1});
    }
    // Not Plotly.react, which leaves the old colour bar behind when its direction changes.
    Plotly.newPlot(place, figure.data, themed(figure.layout),
      {responsive: true, displayModeBar: false});
  }
}
draw();
dark.addEventListener("change", draw);
narrow.addEventListener("change", draw);
"""
