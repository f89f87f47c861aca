"""The command line's answers to bad input, through its real entry point; and ``mollitune space``.

What bad input does to a finished search (``query``, ``best``) is in ``test_search.py``.
"""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.hostile.conftest import CONFIG, tree

from mollitune._errors import MollituneError
from mollitune.search.cli import main
from mollitune.search.launch.confirm import Request

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which the command is typed, with a config and another search's results."""
    (tmp_path / "config.yaml").write_text(CONFIG)
    (tmp_path / "results" / "other").mkdir(parents=True)
    (tmp_path / "results" / "other" / "search.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))  # the command adds its folder to it
    monkeypatch.setenv("COLUMNS", "120")
    return tmp_path


@pytest.fixture
def run(work: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command in this process; return exit code, stdout and stderr."""

    def call(*args: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(list(args))
        out, err = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, out, err

    return call


def refused(run: Run, work: Path, *args: str) -> str:
    """Check that a command is refused as it should be; return its one line."""
    before = tree(work)
    code, out, err = run(*args)
    assert code == 2
    assert err.count("\n") == 1
    assert err.startswith("mollitune: ")
    assert "Traceback" not in out + err
    assert tree(work) == before
    return err


@pytest.mark.parametrize("command", ["search", "space"])
def test_a_bad_value_is_refused_by_every_command_that_reads_a_config(
    run: Run, work: Path, command: str
) -> None:
    """One of each kind; the values are in ``test_config``."""
    for override, parts in {
        "trails=3": ["config.yaml: unknown key 'trails'", "did you mean 'trials'"],
        "families=[{sigmoid: {tau: 0}}]": ["sigmoid", "tau", "0"],
        "trials=[": ["'trials=['", "not valid YAML"],
        "lr=0.1": ["unknown key 'lr'", "did you mean 'model.lr'?"],
        "model=vea": ["config.yaml: model 'vea' is unknown; did you mean 'vae'?"],
        "dataset=none/here": ["dataset none/here: no such file or folder"],
    }.items():
        line = refused(run, work, command, "config.yaml", override)
        assert all(part in line for part in parts), line
    assert "cannot read the config" in refused(run, work, command, "none.yaml")


def test_a_search_that_cannot_start_leaves_nothing_behind(run: Run, work: Path) -> None:
    """One for each part that a search is made of."""
    (work / "images").mkdir()
    (work / "images" / "half.png").write_bytes(b"GIF of a sort")
    cases = {
        "dataset=parquet:none.parquet": ["none.parquet", "no such file", "check the path"],
        "dataset=folder:images": ["images/half.png is not a readable image", "remove or mend it"],
        "model=[{name: vae, hparams: {latnet: 3}}]": ["model vae", "latnet", "latent"],
        "fid={extractor: inception-v3-compat, weights: no.pth}": ["no.pth", "give the path"],
        "results=config.yaml/deep": ["cannot create ", "config.yaml/deep/run1: "],
        "storage=nosuch://bucket": ["nosuch://bucket", "use a local path or a URI"],
        "resources.gpu=1": ["resources.gpu is 1", "on this machine; leave it out to train on"],
        "loggers=[mlflow]": ["mlflow needs a package that is not installed", "pip install mlf"],
        "name=other": ["the search 'other' exists already in results", "name=other-2"],
    }
    if sys.platform == "linux":  # there is a place where nobody may write
        cases["results=/proc/nowhere"] = [
            *("cannot create /proc/nowhere/run1", "choose a results folder that you may write to")
        ]
    for override, parts in cases.items():
        line = refused(run, work, "search", "config.yaml", override)
        assert all(part in line for part in parts), line


def without_network(monkeypatch: pytest.MonkeyPatch) -> None:
    for scheme in ("http", "https"):
        monkeypatch.setenv(f"{scheme}_proxy", "http://127.0.0.1:9")  # nobody listens there


def test_no_weights_and_no_network(
    run: Run, work: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path_factory.mktemp("torch")))
    without_network(monkeypatch)
    line = refused(run, work, "search", "config.yaml", "fid.extractor=inception-v3-compat")
    assert "the download failed" in line
    assert "let this machine reach https://" in line
    assert "fid.weights=/path/to/" in line


@pytest.mark.parametrize("command", ["query", "report", "best"])
def test_an_unknown_search(run: Run, work: Path, command: str) -> None:
    line = refused(run, work, command, "othr", *["select 1"][: command == "query"])
    assert "no search 'othr' in results" in line
    assert "did you mean 'other'?" in line


def test_a_slip_in_the_command_is_a_short_message(run: Run, work: Path) -> None:
    before = tree(work)
    for args, part in (
        (("serach",), "No such command 'serach'"),
        (("search",), "Missing argument 'CONFIG'"),
        (("search", "config.yaml", "--adress", "auto"), "No such option: --adress"),
    ):
        code, out, err = run(*args)
        assert code == 2
        assert part in err
        assert len(err.splitlines()) < 10
        assert "Traceback" not in out + err
    assert tree(work) == before


def test_the_installed_command_says_it_as_shortly(work: Path) -> None:
    command = Path(sys.executable).with_name("mollitune")
    done = subprocess.run(
        [command, "search", "config.yaml", "trails=3"], cwd=work, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("mollitune: config.yaml: unknown key 'trails'")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("override", ["trails=3", "trials=0", "dataset=none/here", "model=vea"])
def test_a_mistake_is_told_before_torch_is_imported(work: Path, override: str) -> None:
    code = (
        "import sys\nfrom mollitune.search.cli import main\n"
        "try:\n    main(sys.argv[1:])\nfinally:\n    print('torch' in sys.modules)"
    )
    command = [sys.executable, "-c", code, "search", "config.yaml", override]
    done = subprocess.run(command, cwd=work, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "False\n", 1)


def test_space_downloads_nothing(
    run: Run, work: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOLLITUNE_DATA", str(tmp_path_factory.mktemp("data")))
    without_network(monkeypatch)
    code, out, err = run("space", "config.yaml", "dataset=cifar10", "families=[blur]")
    assert (code, err) == (0, "")
    assert "blur" in out
    assert " training steps; once the images are here, minutes are told, too" in " ".join(
        out.split()
    )


def test_space_prints_the_plan_and_runs_nothing(run: Run, work: Path) -> None:
    before = tree(work)
    code, out, err = run(
        "space", "config.yaml", "families=[linear, {sigmoid: {tau: 0.7}}]", "trials=6"
    )
    assert (code, err) == (0, "")
    for family, parameter, searched in [
        ("linear", "until", "0.1 to 0.9"),
        ("sigmoid", "tau", "fixed at 0.7"),
    ]:
        rows = [line.split() for line in out.splitlines() if f" {family} " in line]
        words = [" ".join(row) for row in rows if parameter in row]
        assert len(words) == 1
        assert searched in words[0]
    assert "vae vanilla" in out
    assert "cost: 6 trials, 2 at once: about 0:" in out
    assert tree(work) == before


def test_budgets_are_the_numbers_behind_their_option(
    run: Run, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, object]] = []

    def note(folder: str, _: object, request: object, address: object) -> None:
        asked.append((folder, request))
        raise MollituneError("enough")

    monkeypatch.setattr("mollitune.search.cli._driving", lambda name, *_: name)
    monkeypatch.setattr("mollitune.search.launch.confirm.confirm_search", note)
    numbers = ["--budgets", "1", "4", "16"]
    for words in (
        ["other", *numbers, "--seeds", "5"],
        ["--seeds", "5", "other", *numbers],
        [*numbers, "other", "--seeds", "5"],
    ):
        run("confirm", *words)
    assert asked == [("other", Request(seeds=5, budgets=[1, 4, 16]))] * 3
    run("confirm", "other")
    assert asked[-1] == ("other", Request())


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["other", "4", "16"], "too many words: 4 16; one NAME is confirmed"),
        (["other", "--budgets", "many"], "--budgets many: give numbers, such as --budgets 1 4"),
        (["other", "--budgets", "1", "x", "--seeds", "5"], "--budgets 1 x: give numbers"),
        (["other", "--budgets", "1", "inf"], "--budgets 1 inf: give numbers"),
        (["other", "more", "--budgets", "1"], "--budgets 1 more: give numbers"),
    ],
)
def test_budgets_that_are_none_are_one_line(
    run: Run, work: Path, words: list[str], part: str
) -> None:
    assert part in refused(run, work, "confirm", *words)
