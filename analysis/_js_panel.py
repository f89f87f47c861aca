"""Script of the report: shows the samples of a trial, by mouse and by keyboard."""

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
