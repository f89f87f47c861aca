"""The report in a real browser."""

import time
from collections.abc import Iterator

import numpy as np
import pytest
from tests.chromium import CHROMIUM, TIMEOUT, Browser, chromium

from mollitune.analysis import Results, write_report

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_is_quiet_offline_and_fits(
    browser: Browser, results: Results, width: int, scheme: str
) -> None:
    browser.events.clear()
    browser.open(write_report(results), width, scheme)
    loud = ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded")
    assert [event for event in browser.events if event.get("method") in loud] == []
    sent = [e["params"] for e in browser.events if e.get("method") == "Network.requestWillBeSent"]
    schemes = {params["request"]["url"].partition(":")[0] for params in sent}
    assert schemes <= {"file", "data"}
    assert browser.evaluate("document.documentElement.scrollWidth") <= width  # type: ignore[operator]
    assert browser.evaluate("document.querySelectorAll('.plot .main-svg').length > 3")


def test_theme_reaches_page_and_plots(browser: Browser, results: Results) -> None:
    path = write_report(results)
    color = "getComputedStyle(document.querySelector('.plot .xtick text')).fill"
    seen = {}
    for scheme in ("light", "dark"):
        browser.open(path, 1280, scheme)
        seen[scheme] = (float(np.asarray(browser.screenshot()).mean()), browser.evaluate(color))
    assert seen["light"][0] > 200
    assert seen["dark"][0] < 90
    assert seen["light"][1] != seen["dark"][1]


def test_plots_follow_a_theme_that_changes_later(browser: Browser, results: Results) -> None:
    browser.open(write_report(results), 1280, "light")
    color = "getComputedStyle(document.querySelector('.plot .xtick text')).fill"
    before = browser.evaluate(color)
    feature = {"name": "prefers-color-scheme", "value": "dark"}
    browser.call("Emulation.setEmulatedMedia", features=[feature])
    deadline = time.monotonic() + TIMEOUT
    while browser.evaluate(color) == before:
        assert time.monotonic() < deadline, "the plots kept the old colours"
        time.sleep(0.05)


def test_keyboard_reaches_links_tables_and_details(browser: Browser, results: Results) -> None:
    browser.open(write_report(results), 1280, "light")
    seen: set[object] = set()
    for _ in range(20):
        for kind in ("keyDown", "keyUp"):
            browser.call("Input.dispatchKeyEvent", type=kind, key="Tab", windowsVirtualKeyCode=9)
        seen.add(browser.evaluate("document.activeElement.tagName"))
    assert {"A", "DIV", "SUMMARY"} <= seen


def test_text_of_the_data_is_never_run(browser: Browser, results: Results) -> None:
    browser.open(write_report(results), 1280, "light")
    text = browser.evaluate("document.body.textContent")
    assert isinstance(text, str)
    assert "<script>alert(1)</script>" in text
    assert "no <memory>" in text
