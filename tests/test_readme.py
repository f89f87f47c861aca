"""Every command, snippet, table and link of the documentation is run or checked.

The tables of the documentation are generated: ``python tests/test_readme.py`` writes them anew.
"""

import io
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from mollitune.analysis import load_results
from mollitune.models import models, preset, presets
from mollitune.search.cli import main
from mollitune.search.config import ModelConfig, SearchConfig, load_config
from mollitune.search.store.schema import describe

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
MODELS = ROOT / "docs" / "models.md"
TABLES = ROOT / "docs" / "tables.md"
REFRESH = "outdated; write it anew with: .venv/bin/python tests/test_readme.py"

TINY = ("fid.samples=100", "fid.every=0.5")
TWO_MODELS = "model=[{name: vae, steps: 12}, {name: realnvp, steps: 6}]"
CLI = (sys.executable, "-m", "mollitune.search.cli")


# ---------------------------------------------------------------- the generated parts


def markdown_table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    escaped = [tuple(cell.replace("|", "\\|") for cell in row) for row in rows]
    return "\n".join(
        "| " + " | ".join(row) + " |" for row in [head, ("---",) * len(head), *escaped]
    )


def key_rows(section: type[BaseModel], prefix: str = "") -> list[tuple[str, ...]]:
    """List (key, default, meaning) of a section of the config, nested sections in place."""
    rows: list[tuple[str, ...]] = []
    for name, field in section.model_fields.items():
        if isinstance(field.default, BaseModel):
            rows += key_rows(type(field.default), f"{name}.")
            continue
        default = "required" if field.is_required() else f"`{shown_default(field)}`"
        rows.append((f"`{prefix}{name}`", default, field.description or ""))
    return rows


def shown_default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True, validated_data={})
    if isinstance(value, list):
        return f"[{', '.join(family.family for family in value)}]"
    if isinstance(value, float):
        return f"{value:.4g}"
    return "null" if value is None else str(value)


def key_table(section: type[BaseModel]) -> str:
    return markdown_table(("Key", "Default", "Meaning"), key_rows(section))


SIDES = (8, 28, 32, 64)


def preset_table() -> str:
    """One row per model and preset; a value that depends on the side is given for each."""
    rows = []
    for model in models():
        for which in presets(model):
            entries = [preset(model, (1 if side < 32 else 3, side, side), which) for side in SIDES]
            cells = []
            for argument in entries[0]:
                values = [str(entry[argument]) for entry in entries]
                cells.append(
                    f"`{argument}` {' / '.join(values if len(set(values)) > 1 else values[:1])}"
                )
            rows.append((f"`{model}`", which, ", ".join(cells)))
    sides = " / ".join(f"{side}x{side}" for side in SIDES)
    return markdown_table(("Model", "Preset", f"Arguments, where they differ at {sides}"), rows)


GENERATED: dict[Path, dict[str, Callable[[], str]]] = {
    README: {
        "keys": lambda: key_table(SearchConfig),
        "model-keys": lambda: key_table(ModelConfig),
    },
    MODELS: {"presets": preset_table},
}


def with_generated(page: Path) -> str:
    text = page.read_text(encoding="utf-8")
    for name, make in GENERATED[page].items():
        start, end = f"<!-- {name} -->\n", f"<!-- end {name} -->"
        before, _, rest = text.partition(start)
        _, found, after = rest.partition(end)
        assert found, f"{page.name} has no place for the table {name}"
        text = f"{before}{start}{make()}\n{end}{after}"
    return text


def tables_page() -> str:
    parts = [
        "# Result tables\n\nA search writes three Parquet tables below `results/NAME/`. "
        "`mollitune query` and `load_results` read them with every row once; after a crash the "
        "files themselves may hold an evaluation twice, and the later row counts.\n\n"
        "This page is generated from `mollitune.search.store.schema`.\n"
    ]
    for table in dict.fromkeys(line[0] for line in describe()):
        rows = [(f"`{name}`", kind, text) for of, name, kind, text in describe() if of == table]
        parts.append(f"## {table}\n\n{markdown_table(('Column', 'Type', 'Meaning'), rows)}\n")
    return "\n".join(parts)


def refresh() -> None:
    for page in GENERATED:
        page.write_text(with_generated(page), encoding="utf-8")
    TABLES.parent.mkdir(exist_ok=True)
    TABLES.write_text(tables_page(), encoding="utf-8")


@pytest.mark.parametrize("page", GENERATED, ids=lambda page: page.name)
def test_generated_tables_are_up_to_date(page: Path) -> None:
    assert page.read_text(encoding="utf-8") == with_generated(page), REFRESH


def test_the_page_of_result_tables_is_that_of_the_schema() -> None:
    assert TABLES.read_text(encoding="utf-8") == tables_page(), REFRESH


# ---------------------------------------------------------------- reading the README


def blocks(language: str, page: Path = README) -> list[str]:
    text = page.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    lines = [line for block in blocks("console") for line in block.splitlines()]
    return [shlex.join(shlex.split(line, comments=True)) for line in lines if line.strip()]


def test_every_block_has_a_language_that_is_checked() -> None:
    fences = re.findall(r"^```(.*)$", README.read_text(encoding="utf-8"), re.MULTILINE)
    assert set(fences[::2]) == {"console", "python", "yaml", "text"}
    assert set(fences[1::2]) == {""}
    assert len(blocks("text")) == 2  # the output of one real search and of its confirmation


@pytest.mark.parametrize(
    "page",
    [
        *("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "benchmarks/README.md"),
        *("docs/models.md", "docs/fid.md", "docs/policy.md", "docs/analysis.md"),
        *("docs/clusters.md", "docs/production.md", "docs/report.md", "docs/speed.md"),
    ],
)
def test_relative_links_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    targets = [t for t in re.findall(r"\]\(([^)#\s]+)", text) if "://" not in t]
    missing = [t for t in targets if not ((ROOT / page).parent / t).exists()]
    assert not missing


# ---------------------------------------------------------------- running it


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where a user types: a folder with the examples, a small data file and a search `digits`."""
    folder = tmp_path_factory.mktemp("user")
    shutil.copytree(ROOT / "examples", folder / "examples")
    write_images(folder / "cifar10-train.parquet")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("MOLLITUNE_CACHE", str(folder / "cache"))
        patch.setenv("OMP_NUM_THREADS", "1")
        # a token that Ray left in the home folder would guard the cluster but not be sent to it
        patch.setenv("HOME", str(folder))
        for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN"):
            patch.delenv(name, raising=False)
        # Ray's workers are nice by default, and would starve beside other work on the machine
        patch.setenv("RAY_worker_niceness", "0")
        output = typed(["search", "examples/digits.yaml", *TINY, TWO_MODELS, "trials=10"])
        assert "report:   results/digits/report.html" in output
        assert "schedule: results/digits/best.json" in output
        yield folder


def write_images(path: Path) -> None:
    """Write 120 small labelled images in the layout of the Hugging Face hub."""
    rng = np.random.default_rng(0)
    cells = []
    for label in range(120):
        pixels = (rng.integers(0, 64, (8, 8, 3)) + 90 * (label % 2)).astype(np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG")
        cells.append({"bytes": buffer.getvalue(), "path": f"{label}.png"})
    labels = pa.array([label % 2 for label in range(120)], pa.int64())
    pq.write_table(pa.table({"image": cells, "label": labels}), path)


def typed(args: list[str], **environment: str) -> str:
    """Run the command line in a process of its own; return what it printed."""
    done = subprocess.run(
        [*CLI, *args], env=os.environ | environment, capture_output=True, text=True, timeout=150
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def called(args: list[str]) -> None:
    """Run the command line in this process."""
    with pytest.raises(SystemExit, match=r"^0$"):
        main(args)


def make(target: str) -> str:
    done = subprocess.run(
        ["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return done.stdout


@pytest.fixture
def cluster() -> Iterator[str]:
    """The address of a Ray cluster of one node, on this machine."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.2", 0))
        address = f"127.0.0.2:{probe.getsockname()[1]}"
    # sockets below it: their paths may have no more than 107 bytes
    folder = tempfile.mkdtemp(prefix="mt-readme-", dir="/tmp")
    options = (
        f"start --head --block --node-ip-address 127.0.0.2 --port {address.rpartition(':')[2]} "
        f"--num-cpus 2 --include-dashboard=false --temp-dir {folder}"
    )
    head = subprocess.Popen(
        [str(Path(sys.executable).with_name("ray")), *options.split()],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(address, head)
        yield address
    finally:
        head.terminate()
        head.wait(timeout=30)
        shutil.rmtree(folder, ignore_errors=True)


def wait_for(address: str, head: "subprocess.Popen[bytes]") -> None:
    host, _, port = address.partition(":")
    for _ in range(300):
        assert head.poll() is None, "ray start failed"
        with socket.socket() as probe:
            if probe.connect_ex((host, int(port))) == 0:
                return
        time.sleep(0.1)
    raise TimeoutError(f"no Ray at {address}")


def run_make_search(_: list[str], __: Any) -> None:
    assert "mollitune search examples/digits.yaml" in make("search")


def run_make_test(_: list[str], __: Any) -> None:
    assert "pytest" in make("test")


def run_nothing(_: list[str], __: Any) -> None:
    """Nothing more: what the other commands read is the outcome of this one."""
    assert Path("results/digits/reports").is_dir()


def run_light(args: list[str], _: Any) -> None:
    called(args)


def run_search(args: list[str], _: Any) -> None:
    output = typed([*args, *TINY, TWO_MODELS, "trials=10"])
    assert "On realnvp, " in output


def run_resume(args: list[str], _: Any) -> None:
    output = typed(args)
    assert "events are read back" in output
    assert "completed" in output  # nothing was left to do


def run_extend(args: list[str], _: Any) -> None:
    before = searched()
    assert f"[{before + 6}/{before + 6}]" in typed(args)
    assert searched() == before + 6


def searched() -> int:
    """Trials of the search; those of its confirmation are no part of what is extended."""
    return int((load_results("results/digits").trials["stage"] == "search").sum())


def run_confirm(args: list[str], _: Any) -> None:
    output = typed([*args, "--top", "1", "--seeds", "2", "--samples", "60"])
    assert "On realnvp, " in output
    verdicts = load_results("results/digits").read_file("verdict.json")
    assert verdicts is not None


def run_train(args: list[str], _: Any) -> None:
    assert args[-2] == "--steps"
    tiny = ["--evaluations", "1", "--fid-samples", "60", "--output", "runs/readme"]
    typed([*args[:-1], "4", *tiny])
    assert Path("runs/readme/model.pt").exists()


def run_on_cluster(args: list[str], request: pytest.FixtureRequest) -> None:
    address = request.getfixturevalue("cluster")
    # more samples than the least, so that the cost of an evaluation is measured on the cluster
    tiny = [*TINY, "model={name: vae, steps: 6}", "families=[linear]", "trials=2"]
    output = typed([*args, *tiny, "fid.samples=600"], RAY_ADDRESS=address)
    (samples,) = re.findall(r"evaluation of vae: 2 times on (\d+) samples, about ", output)
    assert 500 <= int(samples) <= 600
    assert "2 completed" in output


RUNS: dict[str, Callable[[list[str], Any], None]] = {
    "make search": run_make_search,
    "make test": run_make_test,
    "mollitune space examples/digits.yaml": run_light,
    "mollitune search examples/digits.yaml": run_nothing,
    "mollitune confirm digits": run_confirm,
    "mollitune train --schedule realnvp.json --steps 3000": run_train,
    "mollitune search examples/digits.yaml name=digits-50 trials=50 fid.samples=5000": run_search,
    "mollitune search examples/cifar10_parquet.yaml dataset=parquet:"
    "cifar10-train.parquet": run_search,
    "mollitune search examples/digits.yaml name=on-cluster --address auto": run_on_cluster,
    "mollitune query digits 'select family, count(*), min(fid) from reports where comparable "
    "group by family'": run_light,
    "mollitune resume digits": run_resume,
    "mollitune extend digits --trials 6": run_extend,
    "mollitune report digits": run_light,
    "mollitune report digits --watch": run_light,  # the search has finished: one round
    "mollitune best digits --model realnvp --export realnvp.json": run_light,
}
"""How each command of the README is run; one that is not listed here fails the test."""


@pytest.mark.parametrize("command", commands())
def test_command(command: str, place: Path, request: pytest.FixtureRequest) -> None:
    assert command in RUNS, "add the command to RUNS, so that it is tested"
    RUNS[command](shlex.split(command)[1:], request)


def test_no_command_is_listed_that_the_readme_does_not_have() -> None:
    assert set(RUNS) == set(commands())


def test_python_snippets_run_in_order(place: Path) -> None:
    script = place / "snippets.py"
    script.write_text("\n".join(blocks("python")), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", str(script)], capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    assert "realnvp" in done.stdout  # what the snippets print


def test_a_model_of_ones_own_in_thirty_lines(place: Path) -> None:
    """What docs/models.md tells one to type, from the file to the search."""
    (snippet,) = blocks("python", MODELS)
    assert len([line for line in snippet.splitlines() if line.strip()]) <= 30
    (place / "my_models.py").write_text(snippet, encoding="utf-8")
    (config,) = (block for block in blocks("yaml", MODELS) if "my_models" in block)
    (place / "mine.yaml").write_text(config, encoding="utf-8")
    (command,) = blocks("console", MODELS)
    output = typed([*shlex.split(command)[1:], *TINY, "results=own"])
    assert "On my_models:Mixture, " in output
    trials = load_results(place / "own" / "mine").trials
    assert set(trials["status"]) <= {"completed", "stopped"}
    # One Gaussian per pixel, fitted in closed form, costs 7.74 bits.
    assert trials["final_bpd"].min() < 7


@pytest.mark.parametrize("snippet", blocks("yaml") + blocks("yaml", MODELS))
def test_yaml_snippet_is_a_config(snippet: str, tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(snippet, encoding="utf-8")
    load_config(file)


@pytest.mark.parametrize("file", sorted((ROOT / "examples").glob("*.yaml")), ids=lambda f: f.name)
def test_example_is_a_config(file: Path) -> None:
    load_config(file)


if __name__ == "__main__":
    refresh()
