"""A report about a search whose every text is an attack holds the same elements as any other."""

import dataclasses
import json
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from markupsafe import escape
from tests.analysis.conftest import CONFIRMED, METADATA, PARAMS, PLAN, TRIALS, FakeTrial
from tests.analysis.report.test_importance_card import FOUND
from tests.analysis.report.test_verdict_card import ARMS, VERDICT

from mollitune.analysis import load_results, write_report
from mollitune.analysis.report.cards.importance import shares_card
from mollitune.analysis.report.cards.verdict import verdict_card
from mollitune.schedules import build
from mollitune.search.store.writer import Store, create_search_folder

ATTACKS = [
    *("<script>alert(1)</script>", "</script><script>alert(1)</script>"),
    *("</title></style></pre><img src=x onerror=alert(1)>", '"><svg onload=alert(1)>'),
    *("' onmouseover='alert(1)' x='", "<!--", "]]>", "<a href='javascript:alert(1)'>x</a>"),
    *("&lt;b&gt; &#60;i&#62;", "%{customdata} ${alert(1)} {{7*7}}"),
]


class Elements(HTMLParser):
    """Counts elements with the names of their attributes, and keeps the addresses."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: Counter[tuple[str, ...]] = Counter()
        self.addresses: list[str] = []
        self.other: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found[tag, *(name for name, _ in attrs)] += 1
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_comment(self, data: str) -> None:
        self.other.append(data)


def _texts(value: Any, text: str) -> Any:
    """The same structure with one text for every text; the names of entries stay."""
    if isinstance(value, dict):
        return {name: _texts(inner, text) for name, inner in value.items()}
    return text if isinstance(value, str) else value


def _trial(trial: FakeTrial, text: str) -> FakeTrial:
    error = text if trial.error else None
    return dataclasses.replace(trial, model=f"{trial.model}{text}", error=error)


def _page(folder: Path, text: str) -> str:
    trials = [_trial(trial, text) for trial in TRIALS]
    trials.append(FakeTrial(9, build("linear", until=0.3), 40.0, model=f"glow{text}"))
    trials += [_trial(trial, text) for trial in CONFIRMED]
    trials += [
        dataclasses.replace(trials[-1], number=1_000_050, status="failed", error=text, seed=1)
    ]
    plan = {**_texts(PLAN, text), "status": text}
    with Store.open(create_search_folder(str(folder), "s"), PARAMS) as store:
        store.write_metadata({**_texts(METADATA, text), "config": {text: text}, "name": text})
        store.write_file("confirm/1.json", json.dumps(plan).encode())
        for trial in trials:
            start = {"dataset": text, "family": text} if trial.number == 9 else {"dataset": text}
            report = {**trial.report(1.0), **start, "device": text, "extractor": text}
            fit = {"comparable": trial.status != "failed"}
            store.report({**report, **fit, "extractor_resize": text, "extractor_sha256": text})
            store.decision({**trial.decision(0, 1.0), "reason": text})
            store.trial({**trial.row(), **start})
    return write_report(load_results(folder / "s")).read_text(encoding="utf-8")


def _cards(text: str) -> str:
    arms = tuple(
        dataclasses.replace(arm, text=text, out=text if arm.out else None) for arm in ARMS
    )
    verdict = dataclasses.replace(
        VERDICT, model=text, dataset=text, extractor=text, reference=text, arms=arms
    )
    shares = FOUND.assign(name=text, within=["all", text, "all"])
    return verdict_card(verdict) + shares_card(shares)


def test_no_element_or_attribute_comes_from_data(tmp_path: Path) -> None:
    def made(text: str) -> list[str]:
        folder = tmp_path / text.encode().hex()[:50]
        folder.mkdir()
        return [_page(folder, text), _cards(text)]

    harmless = [Elements(html) for html in made("harmless")]
    # one page with all attacks in every place, and cards with each by itself
    every = " ".join(ATTACKS)
    for page, other, text in (
        *((html, other, every) for html, other in zip(made(every), harmless, strict=True)),
        *((_cards(attack), harmless[1], attack) for attack in ATTACKS),
    ):
        found = Elements(page)
        assert found.found == other.found
        assert found.other == other.other
        assert not [a for a in found.addresses if not a.startswith(("#", "data:"))]
        assert escape(text) in page
