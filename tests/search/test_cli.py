"""The command line's answers to bad input, through its real entry point; and ``mollitune space``.

What bad input does to a finished search (``query``, ``best``) is in ``test_search.py``.
"""

import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from mollitune.search.cli import main

CONFIG = "name: run1\nmodel: vae\nfamilies: [linear]\ntrials: 2\nsteps: 4\n"

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


def tree(folder: Path) -> dict[str, bytes | None]:
    """Every path below a folder with its content; None for a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


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


def image(value: int, side: int = 8) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((side, side, 3), value, np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("trails=3", ["unknown key 'trails'", "did you mean 'trials'"]),
        ("fid.sample=3", ["unknown key 'fid.sample'", "did you mean 'samples'"]),
        ("trials=many", ["key 'trials' is 'many'", "integer"]),
        ('trials="8"', ["key 'trials' is '8'", "integer"]),
        ("trials=true", ["key 'trials' is True", "integer"]),
        ("model=[vae, maf, glow]", ["trials is 2", "at least 3"]),
        ("workers=0", ["key 'workers' is 0", "greater than or equal to 1"]),
        ("fid.every=.nan", ["key 'fid.every' is nan"]),
        ("stopping.policy=halving", ["stopping.policy", "'race', 'asha', 'late_cut'"]),
        ("families=[{sigmoid: {tau: 0}}]", ["sigmoid", "tau", "0"]),
        ("families=[{cosine: {tau: 0}}]", ["cosine", "tau", "0"]),
        ("families=[{sigmoid: {tua: 1}}]", ["sigmoid", "tua"]),
        ("families=[line]", ["'line' is unknown", "linear"]),
        ("families=[linear, linear]", ["linear more than once"]),
        ("loggers=[mlflw]", ["key 'loggers.0' is 'mlflw'", "'tensorboard', 'mlflow' or 'wandb'"]),
        ("loggers=[wandb, wandb]", ["loggers lists wandb more than once"]),
        ("name=../up", ["key 'name' is '../up'"]),
        ("name.x=1", ["'name.x=1'", "no keys of its own"]),
        ("trials", ["'trials'", "key=value"]),
        ("trials=[", ["'trials=['", "not valid YAML"]),
    ],
)
def test_a_bad_value_is_refused_by_every_command_that_reads_a_config(
    run: Run, work: Path, override: str, parts: list[str]
) -> None:
    for command in ("search", "space"):
        line = refused(run, work, command, "config.yaml", override)
        assert all(part in line for part in parts), line


@pytest.mark.parametrize(
    ("text", "part"),
    [
        (None, "cannot read the config (No such file or directory)"),
        ("name: [", "not valid YAML"),
        ("- name", "a config is a mapping"),
        ("name: run1\n", "key 'model' is missing"),
    ],
)
def test_a_config_file_that_is_none(run: Run, work: Path, text: str | None, part: str) -> None:
    if text is not None:
        (work / "bad.yaml").write_text(text)
    line = refused(run, work, "search", "bad.yaml")
    assert part in line
    assert "bad.yaml" in line


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("dataset=parquet:none.parquet", ["none.parquet", "no such file", "check the path"]),
        ("dataset=folder:none", ["folder:none", "no such folder", "check the path"]),
        ("dataset=parquet:config.yaml", ["config.yaml is not a readable Parquet file"]),
        ("dataset=folder:results", ["no images in results", ".png"]),
        ("dataset=digit", ["'digit' is unknown", "did you mean 'digits'"]),
        ("model=vea", ["model vea", "vae"]),
        ("model=nowhere_to_be_found:VAE", ["cannot import 'nowhere_to_be_found'"]),
        ("model=[{name: vae, hparams: {latnet: 3}}]", ["model vae", "latnet", "latent"]),
        ("fid={extractor: inception-v3-compat, weights: no.pth}", ["no.pth", "give the path"]),
        ("results=config.yaml", ["cannot create config.yaml/run1", "choose a results folder"]),
        ("results=config.yaml/deep", ["cannot create config.yaml/deep/run1", "choose a results"]),
        ("storage=nosuch://bucket", ["nosuch://bucket", "use a local path or a URI"]),
        ("loggers=[mlflow]", ["mlflow needs a package that is not installed", "pip install mlf"]),
    ],
)
def test_a_search_that_cannot_start_leaves_nothing_behind(
    run: Run, work: Path, override: str, parts: list[str]
) -> None:
    line = refused(run, work, "search", "config.yaml", override)
    assert all(part in line for part in parts), line


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc, where nobody may write")
def test_a_results_folder_that_nobody_may_write(run: Run, work: Path) -> None:
    line = refused(run, work, "search", "config.yaml", "results=/proc/nowhere")
    assert "cannot create /proc/nowhere/run1" in line
    assert "choose a results folder that you may write to" in line


@pytest.mark.parametrize(
    "broken", [image(1)[:45], b"", b"GIF of a sort"], ids=["cut off", "empty", "text"]
)
def test_a_corrupt_image_file_is_named(run: Run, work: Path, broken: bytes) -> None:
    (work / "images").mkdir()
    (work / "images" / "good.png").write_bytes(image(1))
    (work / "images" / "half.png").write_bytes(broken)
    line = refused(run, work, "search", "config.yaml", "dataset=folder:images")
    assert "images/half.png is not a readable image" in line
    assert "remove or mend it" in line


def test_a_corrupt_image_in_a_parquet_file_is_named(run: Run, work: Path) -> None:
    cells = [{"bytes": image(1), "path": None}, {"bytes": image(2)[:45], "path": None}]
    pq.write_table(pa.table({"image": cells}), work / "data.parquet")
    line = refused(run, work, "search", "config.yaml", "dataset=parquet:data.parquet")
    assert "data.parquet row 1 is not a readable image" in line


def test_images_of_unequal_size(run: Run, work: Path) -> None:
    (work / "images").mkdir()
    for side in (8, 9):
        (work / "images" / f"{side}.png").write_bytes(image(1, side))
    line = refused(run, work, "search", "config.yaml", "dataset=folder:images")
    assert "8x8 and 9x9" in line
    assert "folder:images@32" in line


def test_a_data_set_too_small_for_the_split(run: Run, work: Path) -> None:
    (work / "images").mkdir()
    for number in range(99):
        (work / "images" / f"{number}.png").write_bytes(image(number))
    line = refused(run, work, "search", "config.yaml", "dataset=folder:images")
    assert "99 images are too few" in line
    assert "at least 100 are needed" in line


def test_no_weights_and_no_network(
    run: Run, work: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path_factory.mktemp("torch")))
    for scheme in ("http", "https"):
        monkeypatch.setenv(f"{scheme}_proxy", "http://127.0.0.1:9")  # nobody listens there
    line = refused(run, work, "search", "config.yaml", "fid.extractor=inception-v3-compat")
    assert "the download failed" in line
    assert "let this machine reach https://" in line
    assert "fid.weights=/path/to/" in line


def test_a_search_name_is_never_used_twice(run: Run, work: Path) -> None:
    line = refused(run, work, "search", "config.yaml", "name=other")
    assert "the search 'other' exists already in results" in line
    assert "name=other-2" in line


@pytest.mark.parametrize(
    "args", [("query", "othr", "select 1"), ("report", "othr"), ("best", "othr")]
)
def test_an_unknown_search(run: Run, work: Path, args: tuple[str, ...]) -> None:
    line = refused(run, work, *args)
    assert "no search 'othr' in results" in line
    assert "did you mean 'other'?" in line


@pytest.mark.parametrize(
    ("args", "part"),
    [
        (("serach",), "No such command 'serach'"),
        (("search",), "Missing argument 'CONFIG'"),
        (("search", "config.yaml", "--adress", "auto"), "No such option: --adress"),
        (("query", "other"), "Missing argument 'SQL'"),
    ],
)
def test_a_slip_in_the_command_is_a_short_message(
    run: Run, work: Path, args: tuple[str, ...], part: str
) -> None:
    before = tree(work)
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
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("mollitune: config.yaml: unknown key 'trails'")
    assert done.stderr.count("\n") == 1


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
    assert "6 runs of about 4 schedules, 2 at once: 24 training steps if nothing is stopped" in out
    assert tree(work) == before
