"""The report in a real browser."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.analysis.conftest import CONFIRMED, TRIALS, FakeTrial, MakeSearch, maker
from tests.chromium import CHROMIUM, DRAWN, Browser, chromium

from mollitune.analysis import Results, leaderboard, load_results, write_report
from mollitune.schedules import build

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """The made-up search; no test here changes it."""
    return load_results(maker(tmp_path_factory.mktemp("made-up"))())


@pytest.fixture(scope="module")
def page(results: Results) -> Path:
    return write_report(results)


def loud(browser: Browser) -> list[dict[str, Any]]:
    """Exceptions and messages of the page."""
    kinds = ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded")
    return [event for event in browser.events if event.get("method") in kinds]


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_page_is_quiet_offline_and_fits_and_intervals_are_drawn(
    browser: Browser, make_search: MakeSearch, width: int, scheme: str
) -> None:
    browser.events.clear()
    results = load_results(make_search((*TRIALS, *CONFIRMED)))
    browser.open(write_report(results), width, scheme)
    assert loud(browser) == []
    sent = [e["params"] for e in browser.events if e.get("method") == "Network.requestWillBeSent"]
    schemes = {params["request"]["url"].partition(":")[0] for params in sent}
    assert schemes <= {"file", "data"}
    assert browser.evaluate("document.documentElement.scrollWidth") <= width  # type: ignore[operator]
    assert browser.evaluate("document.querySelectorAll('.plot .main-svg').length > 3")
    text = str(browser.evaluate("document.body.textContent"))
    assert "<script>alert(1)</script>" in text  # shown, and not run
    assert "no <memory>" in text
    boxes = browser.evaluate(
        "[...document.querySelectorAll('.verdict td .strip')].map((strip) => {"
        "const zero = strip.querySelector('.zero').getBoundingClientRect();"
        "const dot = strip.querySelector('circle').getBoundingClientRect();"
        "return [Math.round(zero.x), dot.x - zero.x, strip.clientWidth]; })"
    )
    assert isinstance(boxes, list)
    assert len(boxes) == 3
    assert len({place for place, _, _ in boxes}) == 1  # one line for all rows
    assert boxes[0][1] < boxes[1][1] < boxes[2][1]  # linear, sigmoid, vanilla
    assert all(wide > 100 for _, _, wide in boxes)


def test_theme_reaches_page_and_plots_also_when_it_changes_later(
    browser: Browser, page: Path
) -> None:
    color = "getComputedStyle(document.querySelector('.plot .xtick text')).fill"
    browser.open(page, 1280, "light")
    light = browser.evaluate(color)
    assert float(np.asarray(browser.screenshot()).mean()) > 200
    feature = {"name": "prefers-color-scheme", "value": "dark"}
    browser.call("Emulation.setEmulatedMedia", features=[feature])
    browser.wait(f"{color} !== '{light}'", "the plots kept the old colours")
    assert float(np.asarray(browser.screenshot()).mean()) < 90
    browser.open(page, 1280, "dark")
    assert browser.evaluate(color) != light


def test_keyboard_reaches_links_tables_and_details(browser: Browser, page: Path) -> None:
    browser.open(page, 1280, "light")
    seen: set[object] = set()
    for _ in range(60):
        browser.press("Tab")
        seen.add(browser.evaluate("document.activeElement.tagName"))
    assert {"A", "BUTTON", "DIV", "SUMMARY"} <= seen


def test_the_leaderboard_is_sorted_by_its_headings_and_saved_as_csv(
    browser: Browser, make_search: MakeSearch
) -> None:
    finals = [20.0 + 7 * i % 18 for i in range(18)]  # 15 and, folded, 3
    many = (FakeTrial(i, build("linear", until=0.5), fid) for i, fid in enumerate(finals))
    results = load_results(make_search((*many, FakeTrial(18, build("vanilla"), 1000.0))))
    browser.open(write_report(results), 1280, "light")
    shown = "[...document.querySelectorAll('.board tbody tr')].map((row) => "
    lengths = "[...document.querySelectorAll('.board tbody')].map((body) => body.rows.length)"
    press = "[...document.querySelectorAll('.board th button')].find(b => b.textContent === '{}')"
    for name, column in (("rank", 0), ("lowest", 6), ("difference from vanilla", 3)):
        browser.evaluate(f"{press.format(name)}.click()")
        up = browser.evaluate(f"{shown} row.cells[{column}].textContent)")
        browser.evaluate(f"{press.format(name)}.click()")
        down = browser.evaluate(f"{shown} row.cells[{column}].textContent)")
        assert isinstance(up, list)
        assert isinstance(down, list)
        assert up == down[::-1]
        assert down[0] == {0: "19", 3: "reference", 6: "1,000"}[column]
        assert browser.evaluate(lengths) == [15, 4]
    assert browser.evaluate("document.querySelectorAll('[aria-sort=descending]').length") == 2
    saved = browser.evaluate("atob(document.querySelector('a[download]').href.split(',')[1])")
    assert saved == leaderboard(results).to_csv(index=False)


PLACE = """(() => {{
  const plot = document.querySelector('[data-figure="{figure}"]');
  plot.scrollIntoView({{block: "center", behavior: "instant"}});
  const {{xaxis, yaxis}} = plot._fullLayout, box = plot.getBoundingClientRect();
  return [box.x + xaxis._offset + xaxis.d2p({x}), box.y + yaxis._offset + yaxis.d2p({y})];
}})()"""
PANEL = "document.getElementById('panel')"


def shown(browser: Browser) -> dict[str, object]:
    """What the panel shows."""
    expression = f"""(() => {{
      const panel = {PANEL}, text = (what) => panel.querySelector(what).textContent.trim();
      const part = (name) => text(`[data-panel=${{name}}]`);
      return {{open: panel.open, title: text("h2"), schedule: part("schedule"), fid: part("fid"),
        seed: part("seed"), state: part("state"), note: part("note"),
        picture: panel.querySelector(".own img")?.src ?? ""}};
    }})()"""
    found = browser.evaluate(expression)
    assert isinstance(found, dict)
    return found


def picture_of(results: Results, trial: int) -> str:
    png = results.read_file(f"samples/{trial:04d}.png")
    assert png is not None
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


@pytest.mark.parametrize("width", [1280, 400])
def test_click_on_a_figure_shows_the_samples(
    browser: Browser, results: Results, page: Path, width: int
) -> None:
    browser.open(page, width, "light")
    assert shown(browser)["open"] is False
    places = [
        ("fid-0", 1000, 25, 1),  # the dot at the end of trial 1
        ("shape-0", 0.25, 25, 1),
        # where the line of trial 4 ends
        ("fid-0", 600, TRIALS[4].report(0.6)["fid"], 4),
        ("level-0", 0.2, 1 - 0.2 / 0.5, 1),  # on the curve of trial 1
        ("front-0", 3.25, 25, 1),
    ]
    for figure, x, y, trial in places:
        place = browser.evaluate(PLACE.format(figure=figure, x=x, y=y))
        assert isinstance(place, list)
        # two clicks at once would be a double click
        last = f"document.querySelector('[data-figure={figure}]')._mouseDownTime ?? 0"
        browser.wait(f"Date.now() - ({last}) > 500", "the clock stands still")
        browser.click(*place)
        browser.wait(f"{PANEL}.open", f"the panel did not open for {figure}")
        found = shown(browser)
        assert found["title"] == f"Trial {trial} of glow"
        if trial == 1:
            assert (found["schedule"], found["seed"]) == ("linear(until=0.5)", "7")
            assert (found["fid"], found["state"]) == (
                "25.00 against validation data",
                "completed",
            )
            assert found["picture"] == picture_of(results, 1)
        else:
            assert found["state"] == "stopped, step 600 of 1,000"
            assert found["fid"] == "84.00 at step 600, not comparable"
            assert found["picture"] == ""
            assert str(found["note"]).startswith("There is no picture of this trial")
            assert browser.evaluate(f"{PANEL}.querySelectorAll('img').length") == 0
        box = browser.evaluate(f"{PANEL}.getBoundingClientRect().toJSON()")
        assert isinstance(box, dict)
        assert 0 <= box["left"] < box["right"] <= width
        assert box["top"] >= 0
        assert browser.evaluate(f"{PANEL}.scrollWidth <= {PANEL}.clientWidth")
        browser.press("Escape")


def test_click_on_a_row_shows_the_samples_and_escape_goes_back(
    browser: Browser, results: Results, page: Path
) -> None:
    browser.open(page, 1280, "dark")
    browser.evaluate("document.querySelector('td.schedule').click()")
    assert shown(browser)["title"] == "Trial 2 of glow"
    assert shown(browser)["picture"] == picture_of(results, 2)
    assert browser.evaluate(f"{PANEL}.querySelector('.real img').src") == (
        "data:image/png;base64,"
        + base64.b64encode(results.read_file("samples/real.png") or b"").decode()
    )
    browser.press("Escape")
    assert shown(browser)["open"] is False


def test_keyboard_shows_samples_and_walks_through_the_ranking(
    browser: Browser, page: Path
) -> None:
    browser.open(page, 1280, "light")
    focused = "document.activeElement.dataset.trial"
    for _ in range(30):
        browser.press("Tab")
        if browser.evaluate(f"document.activeElement.matches('td button') && {focused} === '1'"):
            break
    browser.press("Enter")
    titles = [shown(browser)["title"]]
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft", "ArrowLeft", "ArrowLeft", "ArrowLeft"):
        browser.press(key)
        titles.append(shown(browser)["title"])
    order = [1, 0, 3, 0, 1, 2, 2]  # by rank, and not beyond its ends
    assert titles == [f"Trial {number} of glow" for number in order]
    behind = "document.activeElement.closest('main') !== null"
    for _ in range(6):
        browser.press("Tab")
        assert not browser.evaluate(behind)
    browser.press("Escape")
    assert browser.evaluate(focused) == "1"


def test_text_under_the_pointer(browser: Browser, page: Path) -> None:
    browser.open(page, 1280, "light")
    place = browser.evaluate(PLACE.format(figure="fid-0", x=1000, y=25))
    assert isinstance(place, list)
    browser.call("Input.dispatchMouseEvent", type="mouseMoved", x=place[0], y=place[1])
    browser.wait("document.querySelector('.hovertext') !== null", "nothing under the pointer")
    text = browser.evaluate("document.querySelector('.hovertext').textContent")
    assert text == "trial 1, seed 7: linear(until=0.5)step 1,000: FID 25comparable"


def test_page_of_a_running_search_reads_itself_again(
    browser: Browser, make_search: MakeSearch
) -> None:
    many = tuple(FakeTrial(i, build("linear", until=0.5), 20.0 + i) for i in range(18))
    running = load_results(make_search(many, metadata={"status": "running"}, samples=False))
    browser.open(write_report(running, reload=1000), 1280, "light")
    browser.evaluate("window.old = true; document.querySelector('details').open = true")
    browser.evaluate("scrollTo(0, 700)")
    # what the timer calls; not while somebody looks at samples
    browser.evaluate("show(1); again()")
    assert browser.evaluate("sessionStorage.length") == 0
    browser.press("Escape")
    browser.evaluate("again()")
    browser.wait(f"window.old === undefined && {DRAWN}", "the page did not read itself again")
    assert browser.evaluate("scrollY") == 700
    assert browser.evaluate("document.querySelector('details').open")
    assert browser.evaluate("sessionStorage.length") == 0


def test_timer_of_a_running_search_and_none_of_a_finished_one(
    browser: Browser, make_search: MakeSearch
) -> None:
    running = load_results(make_search(TRIALS[:2], metadata={"status": "running"}))
    page = write_report(running, reload=0.5)
    browser.open(page, 1280, "light")
    browser.evaluate("window.old = true")
    browser.wait(f"window.old === undefined && {DRAWN}", "the page did not read itself again")
    finished = load_results(make_search(TRIALS[:2], "finished"))
    write_report(finished, page)
    browser.wait(f"document.body.dataset.reload === undefined && {DRAWN}", "old page stayed")
    assert browser.evaluate("document.querySelector('.pill').textContent") == "finished"
