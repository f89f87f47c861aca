import base64
import dataclasses
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from pyarrow import fs
from tests.analysis.conftest import (
    CONFIRMED,
    LATE,
    METADATA,
    PLAN,
    TRIALS,
    YOUNG,
    FakeTrial,
    MakeSearch,
    Search,
)

from mollitune._errors import MollituneError
from mollitune.analysis import Results, load_results, verdicts, write_report
from mollitune.schedules import build

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


def html_of(results: Results) -> str:
    return write_report(results).read_text()


def text_of(results: Results) -> str:
    return Page(html_of(results)).text


def top_of(results: Results) -> str:
    """What stands above the section of the first model."""
    text = text_of(results)
    return text[: text.index("FID during training")]


def test_report_lies_in_the_folder_and_is_replaced(results: Results) -> None:
    path = write_report(results)
    assert path == Path(results.root, "report.html")
    assert path.read_bytes() == write_report(results).read_bytes()


def test_report_can_go_elsewhere(results: Results, tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.html"
    assert write_report(results, path) == path
    assert path.read_text().startswith("<!DOCTYPE html>")
    with pytest.raises(MollituneError, match=r"cannot write .*a.html/b.html"):
        write_report(results, path / "b.html")


def test_remote_search_needs_a_path(results: Results, tmp_path: Path) -> None:
    filesystem = fs.SubTreeFileSystem("/", fs.LocalFileSystem())
    remote = dataclasses.replace(results, filesystem=filesystem)
    with pytest.raises(MollituneError, match=r"not local: name a file to write"):
        write_report(remote)
    assert write_report(remote, tmp_path / "a.html").stat().st_size > 1e6


def test_page_is_well_formed_and_complete(results: Results) -> None:
    html = html_of(results)
    page = Page(html)
    assert page.open == []
    assert len(set(page.ids)) == len(page.ids)
    targets = [a.removeprefix("#") for a in page.addresses if a.startswith("#")]
    assert set(targets) <= set(page.ids)
    rest = [a for a in page.addresses if not a.startswith("#")]
    assert len([a for a in rest if a.startswith("data:image/png;base64,")]) == 5
    assert all(a.startswith("data:") for a in rest)
    assert html.count("plotly.js v") == 1
    assert len(html) < 8e6


def test_summary_stands_on_top_best_model_first(results: Results) -> None:
    top = top_of(results)
    assert top.index("expected FID 20.00, vanilla 30.00") < top.index("On vae, no schedule tried")
    assert "The best single run (FID 20.00) used this schedule too." in top


def test_failures_come_first_with_the_traceback_folded(search: Search) -> None:
    lines = ["Traceback (most recent call last):", "  in loss", "ValueError: loss is no scalar"]
    broken = dataclasses.replace(TRIALS[5], error="\n".join(lines))
    html = html_of(search(*TRIALS[:5], broken))
    top = Page(html).text
    assert top.index("1 of 6 runs failed") < top.index("On glow")
    assert "Failures" not in top
    folded = f"<summary>{lines[-1]}</summary><pre>{chr(10).join(lines)}</pre>"
    assert folded in html
    assert "No failures; all losses and samples were finite." in text_of(search(*TRIALS[:2]))


def test_interrupted_runs_are_no_failures_and_many_are_folded(search: Search) -> None:
    vanilla = build("vanilla")
    cut = [FakeTrial(20 + i, vanilla, 30.0, status="interrupted", end=0.4) for i in range(8)]
    text = text_of(search(*TRIALS[:3], *cut))
    assert "Runs that were interrupted, or had losses or samples that are not finite." in text
    assert "3 more" in text


@pytest.mark.parametrize("status", ["failed", "finished"])
def test_a_search_of_which_all_failed_has_failed(search: Search, status: str) -> None:
    html = html_of(search(TRIALS[5], metadata={"status": status}))
    assert '<span class="pill failed">failed</span>' in html
    assert "All runs failed" in html
    assert "0 of 0" not in html


@pytest.mark.parametrize(("lowest", "rising"), [(20.0, True), (24.0, False)])
def test_a_fid_that_rises_at_the_end_is_a_warning(
    search: Search, lowest: float, rising: bool
) -> None:
    # while the data are mollified a low FID says nothing
    rows = [{**TRIALS[1].report(0.8), "fid": lowest}, {**TRIALS[1].report(0.2), "fid": 1.0}]
    text = text_of(search(*TRIALS[:2], reports=rows))
    said = "linear(until=0.5) rises towards the end of training, from 20.00 at step 800 to 25.00"
    assert (said in text) == ("Warning" in text) == rising


def test_vanilla_alone_is_compared_with_nothing(search: Search) -> None:
    text = text_of(search(TRIALS[0]))
    assert "no schedule was tried" in text
    assert "of 0" not in text
    assert "expected to beat vanilla" not in text


def test_provenance(search: Search) -> None:
    text = text_of(search(*TRIALS[:8], metadata={"config": {"seed": 3}}))
    pieces = (
        "1:02:03",
        "name digits, train 1200",
        "torch 2.11.0",
        "2026-03-01",
        "name lenet, features 84",
        "seeds 3 of the search; 7 of the runs",
        "500 samples against 300 of the validation data in lenet",
        "devices cpu",
        "last evaluation 2026-03-01 12:11:41 UTC",
    )
    for piece in pieces:
        assert piece in text


def test_without_samples_or_metadata(search: Search) -> None:
    results = search(*TRIALS)
    Path(results.root, "search.json").unlink()
    page = Page(html_of(load_results(results.root)))
    assert not any(a.startswith("data:image") for a in page.addresses)
    assert "There is no search.json beside the tables." in page.text


def test_running_search_without_results_yet(search: Search) -> None:
    young = dataclasses.replace(TRIALS[1], status="running", end=0.4)
    text = text_of(search(young, metadata={"status": "running"}))
    assert "On glow: no trial of model 'glow'" in text
    assert "No trial has a comparable FID yet." in text
    assert "running" in text


def test_trial_without_any_evaluation(search: Search) -> None:
    text = text_of(search(YOUNG))
    assert "No evaluation with a finite FID yet." in text
    assert "No schedule that can be drawn." in text
    assert "No decision has been made." in text
    assert "No run was judged before its end, so there is nothing to audit." in text
    assert "No values that can be ranked." in text


def test_long_leaderboard_is_folded(search: Search) -> None:
    many = [FakeTrial(i, build("linear", until=0.5), 20.0 + i) for i in range(20)]
    text = text_of(search(*many, many[0].again(number=20, final=22.0, seed=8)))
    assert "5 more" in text
    assert "39.00" in text
    assert "sd 1.41" in text


def test_odd_metadata_does_not_break_the_page(search: Search) -> None:
    assert "Provenance" in text_of(search(*TRIALS[:2], metadata=dict.fromkeys(METADATA, "text")))


def test_report_says_whether_stopping_was_safe(results: Results) -> None:
    text = text_of(results)
    assert "Was stopping safe?" in text
    assert "On glow, asha stopped 1 run and saved 7% of the training steps." in text
    assert "No stopped run was audited, so what stopping cost in quality is unknown." in text


def test_report_of_values_that_do_not_compare(unlike: Results) -> None:
    text = text_of(unlike)
    assert text.count("cannot be ranked: they differ in fid_samples (500, 50000)") == 3
    assert "No values that can be ranked." in text


@pytest.fixture
def confirmed(make_search: MakeSearch) -> Results:
    """The made-up search with a confirmation of glow, which chose another schedule."""
    trials = (*TRIALS[:8], FakeTrial(9, LATE, 22.0), *CONFIRMED)
    return load_results(make_search(trials, plan=PLAN))


def test_verdict_takes_the_place_of_the_recommendation(confirmed: Results) -> None:
    (found,) = verdicts(confirmed)
    text, top = text_of(confirmed), top_of(confirmed)
    assert found.sentence in top
    assert "On vae, no schedule tried is expected" in top
    assert f"On glow, {LATE}" in top
    assert "looks best" not in text
    assert "Choice of the confirmation" in text
    assert "Recommended" not in text
    for piece in (
        "confirmation 1 finished; begun 2026-03-01",
        "seeds 10001 to 10003; 500 samples against 300 of the test data; Linux x86_64; torch 2.11",
        "10001, 10002, 10003 of the confirmation",
    ):
        assert piece in text


def test_each_budget_of_a_confirmation_has_a_card(make_search: MakeSearch) -> None:
    longer = tuple(
        run.again(number=run.number + 20, configuration=run.group + 100, scale=4.0)
        for run in CONFIRMED
    )
    plan = {**PLAN, "budgets": [1.0, 4.0]}
    found = load_results(make_search((*TRIALS, *CONFIRMED, *longer), plan=plan))
    short, long = verdicts(found)
    top = top_of(found)
    assert top.index(long.sentence) < top.index(short.sentence)
    assert "On glow at 1,000 steps, " in top
    assert "after 4,000 steps" in top
    assert "1, 4 times the search's length" in text_of(found)
    assert "4 times the search's length, run of a confirmation" in html_of(found)


def test_picture_of_the_choice_is_one_of_the_confirmation(confirmed: Results) -> None:
    pattern = r'Choice of the confirmation.*?data-trial="(\d+)".*?base64,(.*?)"'
    ((trial, picture),) = re.findall(pattern, html_of(confirmed))
    arm = next(arm for arm in verdicts(confirmed)[0].arms if arm.configuration == 9)
    assert int(trial) in arm.trials
    assert base64.b64decode(picture) == confirmed.read_file(f"samples/{trial}.png")
    # without its picture one of the search
    for path in Path(confirmed.root, "samples").glob("10000*.png"):
        path.unlink()
    assert [trial for trial, _ in re.findall(pattern, html_of(confirmed))] == ["9"]


def test_runs_and_images_of_a_confirmation_are_named(confirmed: Results) -> None:
    html = html_of(confirmed)
    assert "Samples of confirmation run 8" in html
    assert '"name": "confirmation run 8"' in html
    assert not re.search(r">[^<]*100000\d[^<]*<", html.partition('<script type="')[0])
    named = dict(re.findall(r"<b>([\w: ]+)</b><span class=\"fid\">(\w+) FID", html))
    assert named == {"Vanilla": "test", "Choice of the confirmation": "test"} | {
        "Vanilla: the best": "validation"  # of the vae, which was not confirmed
    }


@pytest.mark.parametrize("content", [b"{", b"[]", b"null"])
def test_damaged_confirmation_is_said_on_top(confirmed: Results, content: bytes) -> None:
    Path(confirmed.root, "confirm", "1.json").write_bytes(content)
    assert "confirm/1.json is corrupt" in top_of(confirmed)
    assert "confirmation 1 its file is damaged" in text_of(confirmed)


def test_before_a_confirmation_is_complete_nothing_is_chosen(make_search: MakeSearch) -> None:
    plan = {**PLAN, "status": "interrupted"}
    html = html_of(load_results(make_search((*TRIALS[:8], *CONFIRMED[:6]), plan=plan)))
    assert "so far (2 of 3 seeds done)" in html
    assert "Recommended" in html
    assert "Choice of the confirmation" not in html
    assert 'class="tag choice"' not in html


def test_verdicts_on_many_models_stand_in_their_sections(search: Search) -> None:
    others = (
        dataclasses.replace(trial, number=100 * i + trial.number, model=f"m{i}")
        for i in range(1, 4)
        for trial in TRIALS[:3]
    )
    page = Page(html_of(search(*TRIALS[:4], *others, *CONFIRMED, plan=PLAN)))
    top = page.text[: page.text.index("Confirmation 1")]
    assert top.count("not confirmed yet") == 3
    assert page.text.count("Confirmation 1") == 1
    assert page.open == []


def test_page_reads_itself_again_only_while_the_search_runs(search: Search) -> None:
    finished = search(*TRIALS[:2])
    running = search(*TRIALS[:2], metadata={"status": "running"})
    seen = [write_report(r, reload=s).read_text() for r in (finished, running) for s in (None, 5)]
    assert ['<body data-reload="5">' in html for html in seen] == [False, False, False, True]


def test_every_trial_can_be_called_up(results: Results) -> None:
    html = html_of(results)
    documents = dict(
        re.findall(r'<script type="application/json" id="(\w+)">(.*?)</script>', html)
    )
    words, pictures = (json.loads(documents[name]) for name in ("trials", "pictures"))
    numbers = {str(trial.number) for trial in TRIALS}
    assert words["trials"].keys() == numbers
    assert {str(n) for order in words["orders"] for n in order} == numbers
    assert words["orders"][0][:4] == [2, 1, 0, 3]  # by rank
    complete = {str(trial.number) for trial in TRIALS if trial.status == "completed"}
    assert pictures.keys() == complete
    for number, picture in pictures.items():
        data = base64.b64decode(picture["url"].removeprefix("data:image/png;base64,"))
        assert data == results.read_file(f"samples/{int(number):04d}.png")
    buttons = {int(number) for number in re.findall(r'data-trial="(\d+)"', html)}
    assert buttons == {0, 1, 2, 3, 5, 6, 7}  # complete runs, and the one that failed
