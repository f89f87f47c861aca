"""The table of stopping rules, and the rule of the manual in a search of its own."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from mollitune._errors import MollituneError
from mollitune.analysis import load_results
from mollitune.analysis.diagnostics.audit import audit
from mollitune.search.cli import main
from mollitune.search.config import StoppingConfig, load_config
from mollitune.search.metrics.extractors.extractor import Extractor
from mollitune.search.policy.rules import Judgement, Rule, register, registry, rule, rules, spelled

BIN = Path(sys.executable).parent
MANUAL = Path(__file__).resolve().parents[3] / "docs" / "policy.md"
CONFIG: dict[str, Any] = {
    "name": "own",
    "model": "vae",
    "families": [{"linear": {"until": [0.1, 0.5]}}],
    "steps": 9,
    "trials": 20,
    "workers": 1,
    "fid": {"samples": 50, "every": 0.3334},
    "stopping": {"policy": "median:Median", "audit": 0.3},
}


@pytest.fixture
def _registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget what a test registers."""
    monkeypatch.setattr(registry, "_RULES", dict(registry._RULES))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the rule of the manual and a config that names it."""
    folder = tmp_path_factory.mktemp("own-rule")
    (source,) = re.findall(r"^```python\n(.*?)^```", MANUAL.read_text(), re.MULTILINE | re.DOTALL)
    (folder / "median.py").write_text(source)
    (folder / "own.yaml").write_text(yaml.safe_dump(CONFIG))
    return folder


@pytest.fixture(scope="module")
def searched(place: Path, lenet: Extractor) -> Path:
    """The same folder with a search that has ended."""
    command = [str(BIN / "mollitune"), "search", "own.yaml"]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return place


@pytest.mark.slow
def test_an_own_rule_stops_runs_and_stands_in_tables_report_and_audit(searched: Path) -> None:
    results = load_results("own", searched / "results")
    decisions = results.decisions
    assert set(decisions["policy"]) == {"median"}
    judged = decisions[decisions["cutoff"].notna()]
    assert len(judged) >= 15
    above = judged["value"] > judged["cutoff"]
    vanilla = results.trials.set_index("trial").loc[judged["trial"], "family"] == "vanilla"
    assert (judged["action"].isin(["stop", "audit"]) == above & ~vanilla.to_numpy()).all()
    reasons = judged["reason"][above.to_numpy()].str.removesuffix(
        "; continues, as a check of the policy"
    )
    assert all(re.fullmatch(r"the median is [\d.e+]+", reason) for reason in reasons)
    stopped = results.trials.query("status == 'stopped'")["trial"]
    assert set(stopped) == set(judged.query("action == 'stop'")["trial"]) != set()
    (found,) = audit(results).policies
    assert (found.policy, found.stopped) == ("median", len(stopped))
    assert "median at 67%" in (searched / "results" / "own" / "report.html").read_text()


@pytest.mark.slow
@pytest.mark.usefixtures("_registry")
def test_an_own_rule_is_planned_and_replayed(
    searched: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(searched)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.syspath_prepend(str(searched))
    monkeypatch.delitem(sys.modules, "median", raising=False)
    for command in ("space own.yaml", "replay own --orders 2 --rule median:Median"):
        with pytest.raises(SystemExit, match=r"^0$"):
            main(command.split())
    printed = " ".join(capsys.readouterr().out.split())
    assert "with early stopping" in printed  # as the imported rule says
    assert "median:Median, shape" in printed
    assert "late_cut, shape" in printed


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ("median:Mean", "median has no class Mean"),
        ("mean:Median", r"cannot import mean \(ModuleNotFoundError: No module named 'mean'\)"),
        ("median:Sequence", "is no stopping rule; derive a class from Rule"),
        ("median", "'race', 'asha', 'late_cut', 'probe', 'none' or module:Class"),
    ],
)
@pytest.mark.usefixtures("_registry")
def test_an_own_rule_that_is_not_there(
    place: Path, policy: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(place))
    monkeypatch.delitem(sys.modules, "median", raising=False)
    with pytest.raises(MollituneError, match=f"'stopping.policy' is '{policy}': .*{message}"):
        load_config(place / "own.yaml", [f"stopping.policy={policy}"])


@pytest.mark.usefixtures("_registry")
def test_a_rule_that_was_imported_is_known_by_its_name(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(place))
    own = rule("median:Median")
    assert type(rule("median")) is type(own)
    assert rules() == ("asha", "late_cut", "median", "probe", "none")
    # as any other process finds it
    config = StoppingConfig.model_validate({"policy": "median", "grace": 0.5})
    assert (config.policy, config.marks, config.probe_at) == ("median:Median", (0.5,), ())
    assert StoppingConfig.model_validate({"within": "median", "grace": 1}).marks == ()


def test_all_our_own_rules_are_known_by_name() -> None:
    assert rules() == ("asha", "late_cut", "probe", "none")
    assert [spelled(name) for name in rules()] == list(rules())
    assert [str(rule(name)) for name in rules()] == list(rules())


@pytest.mark.parametrize(
    ("name", "grace", "eta", "marks"),
    [
        ("asha", 0.1, 3, (0.1, 0.3, 0.9)),
        ("asha", 1.0, 3, ()),
        ("probe", 0.25, 2, (0.25, 0.5)),
        ("late_cut", 0.1, 3, (0.1,)),
        ("none", 0.1, 3, ()),
    ],
)
def test_marks(name: str, grace: float, eta: float, marks: tuple[float, ...]) -> None:
    assert rule(name).marks(grace, eta) == pytest.approx(marks)


def test_only_branches_may_be_judged_on_mollified_data() -> None:
    for name in rules():
        assert rule(name).skips(1.0, "clean") is None
        assert (
            (rule(name).skips(1.0, "mollified") is None) == rule(name).probes == (name == "probe")
        )


class Falling(Rule):
    """A rule that is not registered yet."""

    name = "falling"
    description = "rungs in the wrong order"

    def marks(self, grace: float, reduction_factor: float) -> tuple[float, ...]:
        return 0.6, 0.3


def derived(base: type = Falling, **attributes: object) -> Any:
    return type("Derived", (base,), attributes)


@pytest.mark.parametrize(
    ("cls", "message"),
    [
        (3, "3 is no stopping rule; derive a class from Rule"),
        (Judgement, "is no stopping rule"),
        (derived(Rule, name="x"), "Derived must define marks"),
        (derived(name="a b"), "Derived.name must be an identifier, got 'a b'"),
        (derived(description=None), "Derived.description must say in a few words"),
        (derived(name="race"), "'race' is taken$"),
        (derived(name="asha"), r"'asha' is taken by mollitune\.search\.policy\.rules\.asha:Asha"),
    ],
)
@pytest.mark.usefixtures("_registry")
def test_what_is_no_rule_is_not_registered(cls: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        register(cls)


@pytest.mark.usefixtures("_registry")
def test_a_rule_may_be_defined_anew_and_its_rungs_must_rise() -> None:
    assert register(Falling) is Falling
    anew = type("Falling", (Falling,), {"__module__": __name__, "description": "as before"})
    register(anew)
    assert type(rule("falling")) is anew
    with pytest.raises(ValidationError, match=r"the rungs of .*:Falling must rise from above 0"):
        StoppingConfig.model_validate({"policy": "falling"})
