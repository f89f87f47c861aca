"""The code of docs/analysis.md runs, in its order, on a made-up search of its name."""

import re
from pathlib import Path

import pytest
from tests.analysis.conftest import FakeTrial, MakeSearch

from mollitune.analysis import __all__ as public
from mollitune.schedules import build

PAGE = Path(__file__).parents[2] / "docs" / "analysis.md"
TEXT = PAGE.read_text(encoding="utf-8")
SCHEDULES = (
    build("vanilla"),
    *(build("linear", until=0.1 * i) for i in range(1, 5)),
    *(build("sigmoid", start=-1.0, end=3.0, tau=0.3 * i, until=0.1 * i) for i in range(1, 9)),
)


def trials() -> tuple[FakeTrial, ...]:
    """Two models, every schedule with the same two seeds."""
    runs = [(model, schedule) for model in ("realnvp", "vae") for schedule in SCHEDULES]
    return tuple(
        FakeTrial(
            number + seed * len(runs),
            schedule,
            30.0 + (number * 7 + seed * 3) % 11,
            model=model,
            seed=seed,
            configuration=number,
        )
        for seed in (0, 1)
        for number, (model, schedule) in enumerate(runs)
    )


@pytest.mark.slow
def test_the_code_of_the_page_runs(
    make_search: MakeSearch, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(Path(make_search(trials(), "digits")).parents[1])
    code = re.findall(r"^```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    assert code
    exec(compile("\n".join(code), PAGE.name, "exec"), {})
    assert capsys.readouterr() == ("", "")  # nothing is printed


def test_every_function_is_on_the_page() -> None:
    functions = {name for name in public if name[0].islower()}
    elsewhere = {"export_best", "find_search", "schedule_of", "watch_report", "write_report"}
    assert not [name for name in sorted(functions - elsewhere) if name not in TEXT]


def test_links_inside_the_page_lead_to_its_headings() -> None:
    headings = re.findall(r"^#+ (.*)$", TEXT, re.MULTILINE)
    anchors = {re.sub(r"[^a-z0-9 -]", "", h.lower()).replace(" ", "-") for h in headings}
    assert {*re.findall(r"\]\(#([^)]+)\)", TEXT)} <= anchors
