"""The report of a search that runs, without waiting."""

import itertools
import re
from pathlib import Path

import pytest
from tests.analysis.conftest import METADATA, PARAMS, PLAN, TRIALS, MakeSearch

from mollitune._errors import MollituneError
from mollitune.analysis import watch_report
from mollitune.search.store.writer import Store, create_search_folder


def never(seconds: float) -> None:
    pytest.fail("nothing was to be waited for")


def status(location: str, name: str) -> None:
    with Store.open(location, PARAMS) as store:
        store.write_metadata({**METADATA, "status": name})


def reloads(path: Path) -> list[str]:
    return re.findall(r'<body data-reload="([\d.]+)">', path.read_text(encoding="utf-8"))


def test_written_again_until_the_search_has_ended(make_search: MakeSearch) -> None:
    location = make_search(TRIALS[:2], metadata={"status": "running"})
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        with Store.open(location, PARAMS) as store:
            TRIALS[1 + len(waits)].write(store)
        if len(waits) == 2:
            status(location, "finished")

    seen = []
    for path in watch_report(location, every=7, sleep=sleep):
        text = path.read_text(encoding="utf-8")
        seen.append((reloads(path), [str(TRIALS[i].schedule) in text for i in range(1, 4)]))
    assert waits == [7, 7]
    assert seen == [
        (["7"], [True, False, False]),
        (["7"], [True, True, False]),
        ([], [True, True, True]),
    ]


def test_search_that_has_ended_is_written_once(make_search: MakeSearch, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    written = list(watch_report(make_search(TRIALS[:1]), output=page, sleep=never))
    assert written == [page]
    assert reloads(page) == []


def test_search_without_results_yet_is_waited_for(tmp_path: Path) -> None:
    location = create_search_folder(str(tmp_path), "young")
    status(location, "running")

    def sleep(seconds: float) -> None:
        with Store.open(location, PARAMS) as store:
            TRIALS[0].write(store)

    assert reloads(next(watch_report("young", tmp_path, sleep=sleep))) == ["10"]


def test_search_that_ended_without_results_or_is_not_there(tmp_path: Path) -> None:
    status(create_search_folder(str(tmp_path), "young"), "interrupted")
    with pytest.raises(MollituneError, match=r"no results in .*young: the search ended"):
        next(watch_report("young", tmp_path, sleep=never))
    with pytest.raises(MollituneError, match="no search 'no'"):
        next(watch_report("no", tmp_path))


def test_confirmation_that_runs_is_followed_too(make_search: MakeSearch) -> None:
    location = make_search(TRIALS[:3], plan={**PLAN, "status": "running"})
    pages = watch_report(location, sleep=lambda _: None)
    for path in itertools.islice(pages, 2):
        assert reloads(path) == ["10"]
        assert 'class="pill confirming"' in path.read_text(encoding="utf-8")
    Path(location, "confirm", "1.json").write_bytes(b'{"status": "finished"}')
    assert [reloads(path) for path in pages] == [[]]
