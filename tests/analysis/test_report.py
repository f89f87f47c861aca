import dataclasses
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from pyarrow import fs
from tests.analysis.conftest import METADATA, PARAMS, TRIALS, FakeTrial, MakeSearch

from mollitune._errors import MollituneError
from mollitune.analysis import Results, load_results, write_report
from mollitune.schedules import build
from mollitune.search.store import Store

_VOID = {"meta", "link", "img", "br"}


class Page(HTMLParser):
    """Checks that elements are nested and collects addresses, ids and text outside scripts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.ids: list[str] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.addresses += [given[key] or "" for key in ("src", "href") if key in given]
        self.ids += [given["id"] or ""] if "id" in given else []
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style"):
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


def page_of(results: Results) -> Page:
    return Page(write_report(results).read_text())


def test_report_lies_in_the_folder_and_is_replaced(results: Results) -> None:
    path = write_report(results)
    assert path == Path(results.root, "report.html")
    assert path.read_bytes() == write_report(results).read_bytes()


def test_report_can_go_elsewhere(results: Results, tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.html"
    assert write_report(results, path) == path
    assert path.read_text().startswith("<!DOCTYPE html>")


def test_remote_search_needs_a_path(results: Results, tmp_path: Path) -> None:
    remote = dataclasses.replace(
        results, filesystem=fs.SubTreeFileSystem("/", fs.LocalFileSystem())
    )
    with pytest.raises(MollituneError, match=r"not local: name a file to write"):
        write_report(remote)
    assert write_report(remote, tmp_path / "a.html").stat().st_size > 1e6


def test_impossible_place(results: Results, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MollituneError, match=r"cannot write .*file/a.html"):
        write_report(results, tmp_path / "file" / "a.html")


def test_page_is_well_formed_and_complete(results: Results) -> None:
    page = page_of(results)
    assert page.open == []
    assert len(set(page.ids)) == len(page.ids)
    targets = [a.removeprefix("#") for a in page.addresses if a.startswith("#")]
    assert set(targets) <= set(page.ids)
    rest = [a for a in page.addresses if not a.startswith("#")]
    assert len([a for a in rest if a.startswith("data:image/png;base64,")]) == 5
    assert all(a.startswith("data:") for a in rest)


def test_plotly_is_there_once(results: Results) -> None:
    html = write_report(results).read_text()
    assert html.count("plotly.js v") == 1
    assert len(html) < 8e6


def test_summary_stands_on_top_best_model_first(results: Results) -> None:
    text = page_of(results).text
    first, second = text.index("has expected FID 20 (1 run)"), text.index("On vae, no schedule is")
    assert first < second < text.index("Leaderboard")


def test_text_from_the_data_is_escaped(results: Results) -> None:
    html = write_report(results).read_text()
    assert "<script>alert" not in html
    assert "no &lt;memory&gt;" in html
    assert "a &amp; b" in html


def test_provenance(results: Results) -> None:
    text = page_of(results).text
    for piece in ("1:02:03", "name digits, train 1200", "torch 2.11.0", "2026-03-01"):
        assert piece in text


def test_without_samples_or_metadata(make_search: MakeSearch) -> None:
    location = make_search(samples=False)
    Path(location, "search.json").unlink()
    page = page_of(load_results(location))
    assert not any(a.startswith("data:image") for a in page.addresses)
    assert "There is no search.json beside the tables." in page.text


def test_running_search_without_results_yet(make_search: MakeSearch) -> None:
    young = FakeTrial(0, build("linear", until=0.5), 30.0, status="running", end=0.4)
    location = make_search((young,), metadata={"status": "running"}, samples=False)
    text = page_of(load_results(location)).text
    assert "On glow: no trial of model 'glow'" in text
    assert "No trial has a comparable FID yet." in text
    assert "running" in text


def test_trial_without_any_evaluation(make_search: MakeSearch) -> None:
    newborn = FakeTrial(0, build("vanilla"), 30.0, status="running", end=0.0)
    text = page_of(load_results(make_search((newborn,), samples=False))).text
    assert "No evaluation with a finite FID yet." in text
    assert "No schedule that can be drawn." in text
    assert "No decision was made." in text


def test_long_leaderboard_is_folded(make_search: MakeSearch) -> None:
    many = tuple(FakeTrial(i, build("linear", until=0.5), 20.0 + i) for i in range(20))
    page = page_of(load_results(make_search(many, samples=False)))
    assert "5 more" in page.text
    assert "39.00" in page.text


def test_only_vanilla(make_search: MakeSearch) -> None:
    text = page_of(load_results(make_search(TRIALS[:1]))).text
    assert "no schedule is expected to beat vanilla training and its FID of 30" in text


def test_odd_metadata_does_not_break_the_page(make_search: MakeSearch) -> None:
    odd = dict.fromkeys(METADATA, "text")
    text = page_of(load_results(make_search(TRIALS[:2], metadata=odd))).text
    assert "Provenance" in text


def test_both_numbers_stand_on_top(make_search: MakeSearch) -> None:
    again = dataclasses.replace(TRIALS[2], number=20, configuration=2, final=30.0, seed=8)
    text = page_of(load_results(make_search((*TRIALS[:3], again)))).text
    top = text[: text.index("Real images")]
    assert "has expected FID 25 (1 run)" in top
    assert "The lowest single FID, 20, is a run of sigmoid" in top


def test_report_says_whether_stopping_was_safe(make_search: MakeSearch) -> None:
    text = page_of(load_results(make_search(TRIALS))).text
    assert "Was stopping safe?" in text
    assert "On glow, asha stopped 1 run and saved 7% of the training steps." in text
    assert "No run was audited, so nothing is known of what it cost." in text


def test_report_without_any_decision(make_search: MakeSearch) -> None:
    newborn = FakeTrial(0, build("vanilla"), 30.0, status="running", end=0.0)
    text = page_of(load_results(make_search((newborn,), samples=False))).text
    assert "No run was judged before its end, so there is nothing to audit." in text
    assert "No FIDs that can be ranked." in text


def test_report_of_values_that_do_not_compare(make_search: MakeSearch) -> None:
    location = make_search(TRIALS[:3])
    with Store.open(location, PARAMS) as store:
        store.report({**TRIALS[0].report(1.0), "fid_samples": 50000})
    text = page_of(load_results(location)).text
    assert "cannot be ranked: they differ in fid_samples (500, 50000)" in text
    assert "No FIDs that can be ranked." in text
