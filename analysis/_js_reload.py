"""Script of the report: while a search runs and its page is rewritten, the page reads itself."""

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
