"""The layout of the repository: one import name, one direction of imports, one wheel."""

import ast
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("analysis", "models", "schedules", "search")
# A file imports its own room and rooms to the left of it, and nothing else of this project.
LINE = (
    "schedules",
    "models",
    "search.policy",
    "search.store",
    "analysis.words",
    "analysis.tables",
    "analysis.confirmation",
    "analysis.ranking",
    "analysis.diagnostics",
    "analysis.report",
    "analysis",
    "search.data",
    "search.metrics",
    "search.training",
    "search.plain_yaml",
    "search.config",
    "search.terminal",
    "search.tune",
    "search.launch",
    "search.replay",
    "search.production",
    "search.cli",
    "search",
)


def imports(path: Path) -> Iterator[str]:
    """Absolute names of all that a file imports, also inside its functions."""
    folders = path.parent.parts
    first = max(i for i, name in enumerate(folders) if name in PACKAGES)
    package = ["mollitune", *folders[first:]]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


def sources() -> list[Path]:
    return [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def tracked() -> list[Path]:
    """Files of the repository, also those that are about to be added."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if listed.returncode != 0:
        pytest.skip("not a git checkout: its files cannot be listed")
    paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    return [path for path in paths if path.is_file() and not path.is_symlink()]


def run_python(code: str, cwd: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def room(module: str) -> str:
    """The longest name of `LINE` that a module, without ``mollitune.``, lies in."""
    return max((r for r in LINE if f"{module}.".startswith(f"{r}.")), key=len, default="")


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_one_way(path: Path) -> None:
    own = room(name_of(path))
    for name in imports(path):
        top, _, inner = name.partition(".")
        assert top not in PACKAGES, f"{name}: the import name is mollitune.{name}"
        assert top != "ray" or own == "search.tune", f"{name}: Ray is for search/tune alone"
        other = room(inner)
        if top != "mollitune" or not other:
            continue
        assert LINE.index(other) <= LINE.index(own), f"{own} may not import {name}"
        if other.split(".")[0] != own.split(".")[0] and "." in other:
            inside = inner.count(".") > other.count(".") + 1
            assert not inside, f"{name}: import it from its face, mollitune.{other}"


def test_no_file_imports_itself_by_a_detour() -> None:
    files = {name_of(path): path for path in sources()}
    needs = {
        name: {
            found
            for imported in imports(path)
            for inner in [imported.removeprefix("mollitune.")]
            for found in [inner if inner in files else inner.rpartition(".")[0]]
            # a face imports what lies behind it
            if found in files and found != name and files[found].stem != "__init__"
        }
        for name, path in files.items()
    }
    while leaves := [name for name, others in needs.items() if not others & needs.keys()]:
        for name in leaves:
            del needs[name]
    assert needs == {}


def test_the_import_test_sees_every_kind_of_import(tmp_path: Path) -> None:
    file = tmp_path / "models" / "x.py"
    file.parent.mkdir()
    file.write_text(
        "import search\nfrom ..search import a\nfrom . import b\nfrom ._c import d\n"
        "def f():\n    from mollitune.analysis import e\n"
    )
    assert list(imports(file)) == [
        "search",
        "mollitune.search.a",
        "mollitune.models.b",
        "mollitune.models._c.d",
        "mollitune.analysis.e",
    ]


@pytest.mark.parametrize(
    ("module", "heavy"),
    [("analysis", "ray optuna torch scipy.stats"), ("search.production.train", "ray optuna")],
)
def test_who_only_reads_or_trains_waits_for_nothing_else(
    module: str, heavy: str, tmp_path: Path
) -> None:
    code = f"import sys, mollitune.{module}; print({{*{heavy.split()}}} & {{*sys.modules}})"
    assert run_python(code, tmp_path) == "set()"


@pytest.mark.slow
def test_a_worker_waits_for_nothing_else(tmp_path: Path) -> None:
    code = (
        "import sys, torch, mollitune.search.tune.trainable\n"
        "from mollitune._optim import Adam\n"
        "from mollitune.search.data.sources import load_images\n"
        "load_images('digits')\n"
        "weight = torch.ones(1, requires_grad=True)\n"
        "weight.backward()\n"
        "Adam([weight], fused=True).step()\n"
        "heavy = {'torch._dynamo', 'sklearn', 'duckdb', 'plotly', 'optuna', 'torchvision'}\n"
        "print(heavy & {*sys.modules})"
    )
    assert run_python(code, tmp_path) == "set()"


@pytest.mark.parametrize("package", PACKAGES)
def test_the_packages_are_links_to_the_folders(package: str) -> None:
    link = ROOT / "src" / "mollitune" / package
    assert link.is_symlink()
    assert link.readlink() == Path("../..") / package
    assert link.resolve() == ROOT / package


def test_folders_of_the_same_names_do_not_shadow_the_packages(tmp_path: Path) -> None:
    for package in PACKAGES:
        decoy = tmp_path / package / "__init__.py"
        decoy.parent.mkdir()
        decoy.write_text(f"raise SystemExit('the decoy {package} was imported')\n")
    modules = [*PACKAGES, "search.config", "search.cli"]
    names = ", ".join(f"mollitune.{module}" for module in modules)
    assert run_python(f"import {names}; print('fine')", tmp_path) == "fine"


# In two parts each, so that this file does not match.
FOREIGN = re.compile("|".join([r"files\.python" + "hosted", r"pypi" + r"\.org", "/wo" + "rk/"]))


def test_no_file_holds_an_index_address_or_a_path_of_some_machine() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {match.group()}"
        for path in tracked()
        if (match := FOREIGN.search(path.read_text(encoding="utf-8", errors="replace")))
    ]
    assert found == []


def test_the_lock_has_versions_and_hashes_and_nothing_else() -> None:
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    entries = re.split(r"\n(?=\S)", re.sub(r"\\\n", " ", text.strip()))
    assert len(entries) > 50
    for entry in entries:
        assert re.match(r"[A-Za-z0-9._-]+(\[[a-z0-9,-]+\])?==\S+ ", entry), entry
        assert "--hash=sha256:" in entry, entry
    assert "://" not in text
    assert "--index" not in text
    assert "--extra-index" not in text


def test_every_dependency_says_what_it_is_for() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    project = tomllib.loads(text)["project"]
    extras = [line for lines in project["optional-dependencies"].values() for line in lines]
    for requirement in [*project["dependencies"], *extras]:
        pattern = rf'^ *"{re.escape(requirement)}", +# \w.+$'
        assert re.search(pattern, text, re.MULTILINE), requirement


def test_a_wheel_holds_the_four_packages_and_no_tests(tmp_path: Path) -> None:
    uv = Path(sys.executable).with_name("uv")
    if not uv.exists():
        pytest.skip("uv is not in the environment: no wheel is built")
    # from a copy, since the build leaves files beside the sources
    for path in tracked():
        target = tmp_path / "copy" / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    for package in PACKAGES:
        (tmp_path / "copy" / "src" / "mollitune" / package).symlink_to(f"../../{package}")
    build = [str(uv), "build", "--wheel", "--offline", "--no-build-isolation", "--quiet"]
    folders = ["--out-dir", str(tmp_path / "dist"), str(tmp_path / "copy")]
    subprocess.run([*build, "--python", sys.executable, *folders], check=True, capture_output=True)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {f"mollitune/{p.relative_to(ROOT).as_posix()}" for p in sources()} <= names
    assert "mollitune/py.typed" in names
    beside = (ROOT / "analysis" / "report").iterdir()
    texts = {path.name for path in beside if path.suffix in (".css", ".html", ".js")}
    assert {"report.css", "report.js"} <= texts
    assert {f"mollitune/analysis/report/{name}" for name in texts} <= names
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"mollitune"}
    assert not [name for name in names if "test" in name]
